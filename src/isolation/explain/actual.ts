/** What the host's own groups say about the subjects of an explanation, and whether it agrees. */
import type { Rules } from '../groups/rules.ts'
import type { HostSnapshot, PciFunction } from '../host.ts'
import type { ActualGroups } from './explanation.ts'

export interface ActualInput {
  readonly snapshot: HostSnapshot
  readonly rules: Rules
}

/** @param members the predicted group of the device */
export function actualForDevice(
  { snapshot, rules }: ActualInput,
  address: string,
  members: readonly string[],
): ActualGroups {
  const silent = noGroups(snapshot, [address])
  if (silent !== null) return silent
  const id = groupIdOf(snapshot, address)
  if (id === null) {
    return { ids: [null], agrees: null, note: `the kernel gave ${address} no group` }
  }
  const actual = snapshot.functions
    .filter((fn) => fn.group.known && fn.group.value === id)
    .map((fn) => fn.address)
  const agrees = actual.length === members.length && actual.every((it) => members.includes(it))
  if (agrees) {
    return { ids: [id], agrees, note: `the kernel's group ${id} holds exactly these devices` }
  }
  const held = `the kernel's group ${id} holds ${actual.join(', ')} instead`
  return { ids: [id], agrees, note: `${held}${doubt(rules)}` }
}

export function actualForPair(
  { snapshot, rules }: ActualInput,
  a: string,
  b: string,
  together: boolean,
): ActualGroups {
  const silent = noGroups(snapshot, [a, b])
  if (silent !== null) return silent
  const ids = [groupIdOf(snapshot, a), groupIdOf(snapshot, b)]
  const [idA = null, idB = null] = ids
  if (idA === null || idB === null) {
    const without = [idA === null ? a : '', idB === null ? b : ''].filter((it) => it !== '')
    return { ids, agrees: null, note: `the kernel gave ${without.join(' and ')} no group` }
  }
  const same = idA === idB
  const agrees = same === together
  const fact = same
    ? `the kernel has both in group ${idA}`
    : `the kernel has them in groups ${idA} and ${idB}`
  return { ids, agrees, note: agrees ? fact : `${fact}, against the prediction${doubt(rules)}` }
}

/** Why a difference is no surprise, where that is known. */
function doubt(rules: Rules): string {
  if (rules.acsOverride !== null) {
    return ': the ACS override patch makes the kernel claim isolation that is not there'
  }
  return '; `isogroup predict` lists what differs and what is unknown'
}

function noGroups(snapshot: HostSnapshot, subjects: readonly string[]): ActualGroups | null {
  const ids = subjects.map(() => null)
  if (!snapshot.groups.known) {
    return {
      ids,
      agrees: null,
      note: `the kernel's own groups are unknown: ${snapshot.groups.why}`,
    }
  }
  if (snapshot.groups.value.length > 0) return null
  return {
    ids,
    agrees: null,
    note: 'the kernel made no groups on this host: this is what the topology asks for once an IOMMU is on',
  }
}

function groupIdOf(snapshot: HostSnapshot, address: string): string | null {
  const fn: PciFunction | undefined = snapshot.functions.find((it) => it.address === address)
  return fn?.group.known === true ? fn.group.value : null
}
