/** How predicted and actual groups differ, and whether an unknown fact could explain it. */
import type { HostSnapshot } from '../host.ts'
import { type Partition, partition } from './partition.ts'
import type { GroupDifference, PredictedGroup, Prediction } from './prediction.ts'
import type { Rules } from './rules.ts'

/** Empty when the host agrees with the prediction, or when its groups are unknown or it made none. */
export function comparePrediction(
  prediction: Prediction,
  snapshot: HostSnapshot,
  rules: Rules,
): readonly GroupDifference[] {
  if (!snapshot.groups.known || snapshot.groups.value.length === 0) return []
  const actual = actualGroups(snapshot)
  const predicted = new Map<string, number>()
  prediction.groups.forEach((group, index) => {
    for (const device of group.devices) predicted.set(device, index)
  })
  return [
    ...ungrouped(prediction, snapshot),
    ...splits(prediction, actual, rules),
    ...joins(actual, predicted),
  ]
}

/** Group id by address, of functions that have one. */
function actualGroups(snapshot: HostSnapshot): Map<string, string> {
  const groups = new Map<string, string>()
  for (const fn of snapshot.functions) {
    if (fn.group.known && fn.group.value !== null) groups.set(fn.address, fn.group.value)
  }
  return groups
}

function ungrouped(prediction: Prediction, snapshot: HostSnapshot): GroupDifference[] {
  const exempt = new Set(prediction.ungrouped.map((entry) => entry.device))
  const devices = snapshot.functions
    .filter((fn) => fn.group.known && fn.group.value === null && !exempt.has(fn.address))
    .map((fn) => fn.address)
  if (devices.length === 0) return []
  return [
    {
      kind: 'ungrouped',
      devices,
      groups: [],
      explanation:
        'the kernel gave them no group: no IOMMU unit covers them (the firmware tables leave them out)',
      undecided: false,
    },
  ]
}

/** Predicted together, apart on the host. */
function splits(
  prediction: Prediction,
  actual: ReadonlyMap<string, string>,
  rules: Rules,
): GroupDifference[] {
  const differences: GroupDifference[] = []
  for (const group of prediction.groups) {
    const devices = group.devices.filter((device) => actual.has(device))
    const groups = distinct(devices, actual)
    if (groups.length < 2) continue
    const undecided = !tiedAcross(devices, actual, certainJoins(group))
    differences.push({
      kind: 'split',
      devices,
      groups,
      explanation: splitExplanation(undecided, rules),
      undecided,
    })
  }
  return differences
}

/** Certain joins come first in a prediction, so those among a group's joins span all that is certain. */
function certainJoins(group: PredictedGroup): Partition {
  const sets = partition()
  for (const join of group.because) if (join.certainty === 'certain') sets.join(join)
  return sets
}

/** Whether certain joins alone tie devices of different actual groups together. */
function tiedAcross(
  devices: readonly string[],
  actual: ReadonlyMap<string, string>,
  certain: Partition,
): boolean {
  const groupOf = new Map<string, string | undefined>()
  for (const device of devices) {
    const leader = certain.leader(device)
    const group = actual.get(device)
    if (!groupOf.has(leader)) groupOf.set(leader, group)
    else if (groupOf.get(leader) !== group) return true
  }
  return false
}

function splitExplanation(undecided: boolean, rules: Rules): string {
  if (undecided) return 'the kernel keeps them apart; facts that could not be read would tell why'
  if (rules.acsOverride !== null) {
    return 'the ACS override patch makes the kernel believe in isolation that is not there'
  }
  return 'the kernel keeps them apart although the registers do not isolate: groups are formed when a device appears, and ACS may have been changed since'
}

/** Predicted apart, together on the host. */
function joins(
  actual: ReadonlyMap<string, string>,
  predicted: ReadonlyMap<string, number>,
): GroupDifference[] {
  const members = new Map<string, string[]>()
  for (const [device, group] of actual) {
    if (!predicted.has(device)) continue
    const list = members.get(group)
    if (list === undefined) members.set(group, [device])
    else list.push(device)
  }
  const differences: GroupDifference[] = []
  for (const [group, devices] of members) {
    if (new Set(devices.map((device) => predicted.get(device))).size < 2) continue
    differences.push({
      kind: 'joined',
      devices,
      groups: [group],
      explanation:
        'the kernel put them together although nothing in the registers asks for it: another kernel version, firmware tables (IVRS, IORT) or a device that has since changed',
      undecided: false,
    })
  }
  return differences
}

function distinct(devices: readonly string[], actual: ReadonlyMap<string, string>): string[] {
  return [...new Set(devices.map((device) => actual.get(device) ?? ''))]
}
