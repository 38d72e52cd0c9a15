/**
 * Explains one device or a pair, from a prediction:
 *
 *     joins of the group -> chain between the subjects        (together)
 *     elements above     -> what keeps each of them separate  (apart)
 *
 * and sets beside it what the kernel itself did, which may differ.
 */
import { assert } from '../../base/assert.ts'
import type { Finding } from '../../base/finding.ts'
import { acsTable } from '../groups/acs.ts'
import { slotMates } from '../groups/port-type.ts'
import type { PredictedGroup, Prediction } from '../groups/prediction.ts'
import type { Rules } from '../groups/rules.ts'
import type { HostSnapshot } from '../host.ts'
import type { Node, Topology } from '../topology/topology.ts'
import { actualForDevice, actualForPair } from './actual.ts'
import { chainBetween, joinsAround } from './chain.ts'
import type { Explanation } from './explanation.ts'
import { remediesFor } from './remedies.ts'
import { separationOf } from './separation.ts'

/** What every explanation rests on: one host, read and predicted once. */
export interface Explained {
  readonly snapshot: HostSnapshot
  readonly topology: Topology
  readonly rules: Rules
  readonly prediction: Prediction
}

/** Why a device shares its group with others, or that it is alone. @param address of the topology */
export function explainDevice(on: Explained, address: string): Explanation {
  const node = nodeAt(on, address)
  const group = groupOf(on.prediction, address)
  const members = group?.devices ?? [address]
  const chain = group === null ? [] : joinsAround(group.because, address)
  const actual = actualForDevice(on, address, members)
  return {
    subjects: [address],
    together: members.length > 1,
    groupId: actual.ids[0] ?? null,
    members,
    chain,
    apart:
      members.length > 1 ? [] : [separationOf(node, new Set(members), null, acsTable(on.rules))],
    actual,
    remedies: remediesFor(chain, on.topology, on.rules),
    warnings: warningsAbout(on.prediction, [node]),
  }
}

/** Why two devices are together or apart. @param a, b different addresses of the topology */
export function explainPair(on: Explained, a: string, b: string): Explanation {
  const [first, second] = [nodeAt(on, a), nodeAt(on, b)]
  const [groupA, groupB] = [groupOf(on.prediction, a), groupOf(on.prediction, b)]
  const together = groupA !== null && groupA === groupB
  const chain = together ? chainBetween(groupA.because, a, b) : []
  assert(chain !== null, `no chain of joins between ${a} and ${b} of one group`)
  const actual = actualForPair(on, a, b, together)
  const [idA = null, idB = null] = actual.ids
  const acs = acsTable(on.rules)
  const [membersA, membersB] = [groupA?.devices ?? [a], groupB?.devices ?? [b]]
  return {
    subjects: [a, b],
    together,
    groupId: idA === idB ? idA : null,
    members: together ? membersA : [...membersA, ...membersB],
    chain,
    apart: together
      ? []
      : [
          separationOf(first, new Set(membersA), second, acs),
          separationOf(second, new Set(membersB), first, acs),
        ],
    actual,
    remedies: remediesFor(chain, on.topology, on.rules),
    warnings: warningsAbout(on.prediction, [first, second]),
  }
}

function nodeAt(on: Explained, address: string): Node {
  const node = on.topology.nodes.get(address)
  assert(node !== undefined, `${address} is not in the topology`)
  return node
}

function groupOf(prediction: Prediction, address: string): PredictedGroup | null {
  return prediction.groups.find((group) => group.devices.includes(address)) ?? null
}

/** Warnings about the host as a whole, or about a subject, its slot, or what is above it. */
function warningsAbout(prediction: Prediction, subjects: readonly Node[]): readonly Finding[] {
  const near = new Set<string>()
  for (const subject of subjects) {
    for (let at: Node | null = subject; at !== null; at = at.parent) {
      near.add(at.address)
      for (const mate of slotMates(at)) near.add(mate.address)
    }
  }
  return prediction.warnings.filter(
    ({ about }) => about.length === 0 || about.some((address) => near.has(address)),
  )
}
