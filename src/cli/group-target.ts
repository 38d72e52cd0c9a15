/** Targets of commands that act on whole groups: any member names its group. */
import { IsogroupError } from '../base/errors.ts'
import type { Host, HostSnapshot } from '../isolation/host.ts'
import { checkedText } from './option-values.ts'
import { resolveTarget } from './target.ts'

/** A transaction of more groups than any host has users for is a mistake. */
const TARGETS_MAX = 256

/**
 * The PCI functions that each target names: the one, or all of the group.
 * @throws IsogroupError usage, not-found, ambiguous
 */
export function groupTargets(
  texts: readonly string[],
  host: Host,
  snapshot: HostSnapshot,
): readonly (readonly string[])[] {
  if (texts.length > TARGETS_MAX) {
    throw new IsogroupError(
      'usage',
      `${String(texts.length)} targets were given`,
      `at most ${String(TARGETS_MAX)} make one transaction`,
    )
  }
  return texts.map((text) => functionsOf(checkedText(text, 'the target'), host, snapshot))
}

function functionsOf(text: string, host: Host, snapshot: HostSnapshot): readonly string[] {
  const target = resolveTarget(text, host, snapshot)
  if (target.kind === 'device') return [target.fn.address]
  const id = target.kind === 'group' ? target.id : target.device.group
  const members = snapshot.functions
    .filter(({ group }) => group.known && group.value === id)
    .map(({ address }) => address)
  if (members.length > 0) return members
  throw new IsogroupError(
    'refused',
    `group ${id} of ${snapshot.source} holds no PCI function`,
    'only PCI functions can be claimed: isogroup ls',
  )
}
