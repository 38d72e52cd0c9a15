/** Programs and their contexts as JSON. */
import { savedBy } from '../../isolation/context/saved.ts'
import type { ContextUse } from '../../isolation/live-host.ts'
import { same, shown } from './device-json.ts'

export function contextJson(use: ContextUse): object {
  const unknown: Record<string, string> = {}
  const saved = savedBy(use)
  if (saved === null && use.groups.length > 1) {
    const why = use.locked.known ? 'which group is in which context is not told' : use.locked.why
    unknown['savedLockedBytes'] = why
    unknown['savedTableBytes'] = why
  }
  const none = use.groups.length < 2 ? 0 : null
  return {
    ...{ pid: use.pid, name: use.name, uid: use.uid },
    contexts: use.containers,
    groups: use.groups,
    lockedBytes: shown(unknown, 'lockedBytes', use.locked, same),
    savedLockedBytes: saved?.locked ?? none,
    savedTableBytes: saved?.tables ?? none,
    unknown,
  }
}
