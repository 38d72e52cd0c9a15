/** Programs and their contexts as JSON, and what sharing saves them. */
import type { ContextUse } from '../../isolation/live-host.ts'
import { same, shown } from './device-json.ts'

/** An entry of 8 bytes for each page of 4 KiB, the lowest level of every IOMMU's tables. */
const TABLE_SHARE = 8 / 4096

export interface Saved {
  /** Bytes. */
  readonly locked: number
  /** Bytes, at most: larger pages need fewer entries. */
  readonly tables: number
}

/** What a context for each group would take beside. Null: one group shares with nobody, several contexts tell nothing. */
export function savedBy({ containers, groups, locked }: ContextUse): Saved | null {
  if (containers !== 1 || groups.length < 2 || !locked.known) return null
  const bytes = locked.value * (groups.length - 1)
  return { locked: bytes, tables: Math.ceil(bytes * TABLE_SHARE) }
}

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
