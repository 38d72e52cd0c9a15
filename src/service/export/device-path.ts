/**
 * Where a function is, in a form that outlives boots: its directory in /sys/devices, with the numbers of
 * the buses below the root left open.
 *
 *     /devices/pci0000:00/0000:00:01.0/0000:??:00.0
 *
 * Firmware and kernel number buses anew when a card is added or taken; slots and functions stay, as
 * does the root bus. (udev's own ID_PATH has the numbers in it and is known too late for this.)
 */
import { IsogroupError } from '../../base/errors.ts'
import type { HostSnapshot, PciFunction } from '../../isolation/host.ts'
import { formatBus, parseAddress } from '../../pci/address.ts'

/** Trees of PCI are at most this deep: 256 buses. */
const DEPTH_MAX = 256

/**
 * A pattern for DEVPATH as udev matches it: "?" is any one character.
 * @throws IsogroupError refused when the way to the root is not known
 */
export function devicePathPattern(fn: PciFunction, snapshot: HostSnapshot): string {
  const byAddress = new Map(snapshot.functions.map((it) => [it.address, it]))
  const way: string[] = []
  let at: PciFunction | undefined = fn
  while (at !== undefined) {
    if (way.length === DEPTH_MAX) throw lost(fn)
    const { address, parent }: PciFunction = at
    const below = parent !== null
    way.unshift(below ? anyBus(address) : address)
    if (!below) return `${rootPath(address, byAddress, snapshot)}/${way.join('/')}`
    at = byAddress.get(parent)
  }
  throw lost(fn)
}

/** "/devices/pci0000:00"; behind the function that hosts the bus where one does (Intel VMD). */
function rootPath(
  address: string,
  byAddress: ReadonlyMap<string, PciFunction>,
  snapshot: HostSnapshot,
): string {
  const at = parseAddress(address)
  const bus = at === null ? '' : formatBus(at.domain, at.bus)
  const hosted = snapshot.hostedBuses.find((it) => it.bus === bus)
  const host = hosted === undefined ? undefined : byAddress.get(hosted.host)
  if (host === undefined) return `/devices/pci${bus}`
  return `${devicePathPattern(host, { ...snapshot, hostedBuses: [] })}/pci${bus}`
}

/** "0000:01:00.0" -> "0000:??:00.0" */
function anyBus(address: string): string {
  const [domain = '', , rest = ''] = address.split(':')
  return `${domain}:??:${rest}`
}

function lost(fn: PciFunction): IsogroupError {
  return new IsogroupError(
    'refused',
    `${fn.address}: the bridges above it are not all known, so a rule could not say where it is`,
    'read the whole host: isogroup tree',
  )
}
