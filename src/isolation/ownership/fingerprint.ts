/**
 * Which group it is, whatever number it has: its members by their ids and their places in the tree of buses.
 *
 * Numbers of groups are given in order of discovery and used again (iommu_group_alloc, drivers/iommu/iommu.c),
 * bus numbers change when a card is added. Ids and place of a device stay as long as nobody moves it.
 */
import type { DeviceIdentity } from '../live-host.ts'

/** What could not be read, in place of an id or a path (linux/identities.ts). */
const UNREAD = '?'

/**
 * The same for the same devices in the same places, in any order, under any address.
 * @param digest of a text: SHA-256 in hexadecimal
 */
export function fingerprintOf(
  members: readonly DeviceIdentity[],
  digest: (text: string) => string,
): string {
  const lines = members.map(({ path, ids }) => `${path} ${ids}\n`).sort()
  return digest(lines.join(''))
}

/** What happened to the members of a group between two looks, a line each; empty: nothing. */
export function changesBetween(
  then: readonly DeviceIdentity[],
  now: readonly DeviceIdentity[],
): readonly string[] {
  const lines: string[] = []
  for (const old of then) {
    const found = now.find((one) => isSamePlace(old, one))
    if (found === undefined) lines.push(`${old.address} (${old.ids}) has left the group`)
    else if (isOther(old, found)) {
      lines.push(`${found.address} is another device now: ${found.ids} instead of ${old.ids}`)
    } else if (old.address !== found.address) {
      lines.push(`${old.address} is called ${found.address} now`)
    }
  }
  for (const one of now) {
    if (then.some((old) => isSamePlace(old, one))) continue
    lines.push(`${one.address} (${one.ids}) has joined the group`)
  }
  return lines
}

/**
 * Addresses at which there is another device now. What was recorded for the old one must not be done to it.
 */
export function replaced(
  then: readonly DeviceIdentity[],
  now: readonly DeviceIdentity[],
): readonly string[] {
  const old = new Map(then.map((one) => [one.address, one]))
  return now
    .filter((one) => {
      const before = old.get(one.address)
      return before !== undefined && isOther(before, one)
    })
    .map(({ address }) => address)
}

/** Whether it is the same device in the same place, under the same address. */
export function isSameDevice(a: DeviceIdentity, b: DeviceIdentity): boolean {
  return a.address === b.address && isSamePlace(a, b) && !isOther(a, b)
}

function isSamePlace(a: DeviceIdentity, b: DeviceIdentity): boolean {
  return a.path === UNREAD || b.path === UNREAD ? a.address === b.address : a.path === b.path
}

/** What could not be read differs from nothing. */
function isOther(a: DeviceIdentity, b: DeviceIdentity): boolean {
  return a.ids !== b.ids && !a.ids.includes(UNREAD) && !b.ids.includes(UNREAD)
}
