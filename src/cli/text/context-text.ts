/**
 * Contexts as a person reads them.
 *
 *     qemu-system-x86 (812), user 1000: groups 13, 14 share one context
 *       13      0000:01:00.0, 0000:01:00.1
 *       14      0000:02:00.0
 *       locked  4096 MiB
 *       saved   4096 MiB of locked memory, up to 8 MiB of tables
 */
import { savedBy } from '../../isolation/context/saved.ts'
import type { ContextUse } from '../../isolation/live-host.ts'
import { hanging, type Screen } from '../screen.ts'
import { counted } from './count-text.ts'

const KIB = 1024
const MIB = 1024 * KIB
const COLUMN = 'locked  '.length

export function contextLines(use: ContextUse, screen: Screen): readonly string[] {
  const { pid, name, uid, groups, locked } = use
  const saved = savedBy(use)
  const line = (label: string, text: string): readonly string[] =>
    hanging(`  ${label.padEnd(COLUMN)}`, text, screen.width)
  return [
    `${screen.paint('bold', name)} (${String(pid)}), user ${String(uid)}: ${sharing(use)}`,
    ...groups.flatMap(({ group, members }) => line(group, members.join(', '))),
    ...line('locked', locked.known ? size(locked.value) : `unknown: ${locked.why}`),
    ...(saved === null
      ? []
      : line(
          'saved',
          `${size(saved.locked)} of locked memory, up to ${size(saved.tables)} of tables`,
        )),
  ]
}

function sharing({ containers, groups }: ContextUse): string {
  const ids = groups.map(({ group }) => group).join(', ')
  const [first] = groups
  if (first === undefined) return `${counted(containers, 'context')} without a group`
  if (groups.length === 1) return `group ${ids} alone`
  if (containers === 1) return `groups ${ids} share one context`
  return `groups ${ids} in ${counted(containers, 'context')}`
}

function size(bytes: number): string {
  return bytes >= MIB
    ? `${String(Math.ceil(bytes / MIB))} MiB`
    : `${String(Math.ceil(bytes / KIB))} KiB`
}
