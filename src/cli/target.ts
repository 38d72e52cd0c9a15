/**
 * What a TARGET names: one device or one group, in any of the forms people have at hand.
 *
 *     0000:01:00.0  01:00.0  pci_0000_01_00_0  eth0  nvme0n1  card0  10de:1b80
 *     /sys/bus/pci/devices/0000:01:00.0  /dev/nvme0n1  group:13  13  INTC1006:00
 */
import { IsogroupError } from '../base/errors.ts'
import type { Host, HostSnapshot, OtherDevice, PciFunction } from '../isolation/host.ts'
import { formatAddress, hex, parseLooseAddress } from '../pci/address.ts'
import { nearest } from './nearest.ts'

export type Target =
  | { readonly kind: 'device'; readonly fn: PciFunction }
  | { readonly kind: 'other'; readonly device: OtherDevice }
  | { readonly kind: 'group'; readonly id: string }

/** @throws IsogroupError `not-found` with the nearest candidates, `ambiguous` with all of them */
export function resolveTarget(text: string, host: Host, snapshot: HostSnapshot): Target {
  const path = fromPath(text)
  const name = path ?? text
  const group = /^(?:group:)?(\d{1,9})$/.exec(name)?.[1]
  if (group !== undefined) return groupTarget(group, snapshot)
  const address = addressOf(name)
  if (address !== null) return addressTarget(text, address, snapshot)
  const ids = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(name)
  if (ids !== null) return idsTarget(name.toLowerCase(), snapshot)
  const other = snapshot.otherDevices.find((device) => device.name === name)
  if (other !== undefined) return { kind: 'other', device: other }
  return serviceTarget(name, host, snapshot)
}

/** The telling part of a path: its last PCI address, a group's number, or its last name; null for no path. */
function fromPath(text: string): string | null {
  if (!text.startsWith('/')) return null
  const parts = text.split('/').filter((part) => part !== '')
  const address = parts.findLast((part) => parseLooseAddress(part) !== null)
  if (address !== undefined) return address
  return parts.at(-1) ?? ''
}

function addressOf(name: string): string | null {
  const libvirt = /^pci_([0-9a-f]{4,8})_([0-9a-f]{2})_([0-9a-f]{2})_([0-7])$/i.exec(name)
  const plain =
    libvirt === null
      ? name
      : `${libvirt[1] ?? ''}:${libvirt[2] ?? ''}:${libvirt[3] ?? ''}.${libvirt[4] ?? ''}`
  const at = parseLooseAddress(plain)
  return at === null ? null : formatAddress(at)
}

function groupTarget(id: string, snapshot: HostSnapshot): Target {
  const { groups } = snapshot
  const plain = String(Number(id))
  if (!groups.known) {
    throw new IsogroupError(
      'not-found',
      `no group ${plain}: the groups of ${snapshot.source} are unknown: ${groups.why}`,
      '`isogroup predict` derives them from the topology',
    )
  }
  if (groups.value.some((group) => group.id === plain)) return { kind: 'group', id: plain }
  const ids = groups.value.map((group) => group.id)
  throw new IsogroupError(
    'not-found',
    `no group ${plain} on ${snapshot.source}`,
    ids.length === 0
      ? 'it has no groups at all; `isogroup doctor` says why'
      : `it has ${ids[0] ?? ''} to ${ids.at(-1) ?? ''}: isogroup ls`,
  )
}

function addressTarget(text: string, address: string, snapshot: HostSnapshot): Target {
  const found = snapshot.functions.find((fn) => fn.address === address)
  if (found !== undefined) return { kind: 'device', fn: found }
  const all = snapshot.functions.map((fn) => fn.address)
  const slot = address.slice(0, -1)
  const bus = address.slice(0, -4)
  // The same place in another domain is what was meant when the domain was left out.
  const elsewhere = all.filter((it) => it.slice(-7) === address.slice(-7))
  const near = [
    elsewhere,
    all.filter((it) => it.startsWith(slot)),
    all.filter((it) => it.startsWith(bus)),
    nearest(address, all),
  ].find((candidates) => candidates.length > 0)
  throw notFound(text, near ?? [], snapshot)
}

function idsTarget(ids: string, snapshot: HostSnapshot): Target {
  const idsOf = (fn: PciFunction): string | null =>
    fn.vendor.known && fn.device.known
      ? `${hex(fn.vendor.value, 4)}:${hex(fn.device.value, 4)}`
      : null
  const found = snapshot.functions.filter((fn) => idsOf(fn) === ids)
  const [only] = found
  if (only === undefined) {
    const all = snapshot.functions.map(idsOf).filter((it) => it !== null)
    const sameVendor = all.filter((it) => it.startsWith(ids.slice(0, 5)))
    throw notFound(ids, sameVendor.length > 0 ? sameVendor : nearest(ids, all), snapshot)
  }
  if (found.length === 1) return { kind: 'device', fn: only }
  throw new IsogroupError(
    'ambiguous',
    `${ids} names ${String(found.length)} devices of ${snapshot.source}`,
    `give the address of one: ${found.map((fn) => fn.address).join(', ')}`,
  )
}

/** "eth0", "nvme0n1", "card0": what the host makes of the device. */
function serviceTarget(name: string, host: Host, snapshot: HostSnapshot): Target {
  const names: string[] = []
  let unread = ''
  for (const details of host.details(snapshot.functions.map((fn) => fn.address))) {
    if (!details.services.known) {
      unread = details.services.why
      continue
    }
    for (const service of details.services.value) {
      names.push(service.name)
      if (service.name !== name) continue
      const fn = snapshot.functions.find((it) => it.address === details.address)
      if (fn !== undefined) return { kind: 'device', fn }
    }
  }
  const candidates = nearest(name, [...names, ...snapshot.otherDevices.map((it) => it.name)])
  if (candidates.length === 0 && unread !== '') {
    throw new IsogroupError(
      'not-found',
      `no device "${name}" on ${snapshot.source}; what its devices are used for is unknown: ${unread}`,
      'give a PCI address: isogroup ls',
    )
  }
  throw notFound(name, candidates, snapshot)
}

const CANDIDATES_SHOWN = 6

function notFound(text: string, near: readonly string[], snapshot: HostSnapshot): IsogroupError {
  const distinct = [...new Set(near)].slice(0, CANDIDATES_SHOWN)
  return new IsogroupError(
    'not-found',
    `no device "${text}" on ${snapshot.source}`,
    distinct.length === 0 ? '`isogroup ls` lists all devices' : `nearest: ${distinct.join(', ')}`,
  )
}
