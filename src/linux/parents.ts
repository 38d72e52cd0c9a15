/**
 * Where a bus hangs: all functions of a bus have the same directory in /sys/devices, so one link per
 * bus tells the bridge above all of them.
 *
 *     ../../../devices/pci0000:00/0000:00:1c.0/0000:01:00.0         the bridge is 0000:00:1c.0
 *     ../../../devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0   a root bus hosted by VMD
 *
 * A bus of virtual functions that do not fit on their physical function's bus has no bridge of its
 * own; its functions stand in the directory of the physical function's bridge, as wanted.
 */
import type { HostedBus } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { formatBus, type PciAddress, parseAddress } from '../pci/address.ts'
import { readLink } from './reading.ts'

export interface ListedFunction {
  readonly address: string
  readonly at: PciAddress
}

export interface Placement {
  /** The bridge above a bus; null for a root bus. */
  parentOf(fn: ListedFunction): string | null
  readonly hostedBuses: readonly HostedBus[]
}

const ROOT = /^pci([0-9a-f]{4,8}:[0-9a-f]{2})$/

export function placeBuses(kernel: KernelView, functions: readonly ListedFunction[]): Placement {
  const parents = new Map<string, string | null>()
  const hosted = new Map<string, string>()
  for (const fn of functions) {
    const bus = formatBus(fn.at.domain, fn.at.bus)
    if (parents.has(bus)) continue
    const link = readLink(kernel, `/sys/bus/pci/devices/${fn.address}`)
    // A function that has just gone tells nothing; the next one of its bus may.
    if (!link.known || link.value === null) continue
    const place = findPlace(link.value)
    parents.set(bus, place.parent)
    if (place.hosted !== null) hosted.set(place.hosted.bus, place.hosted.host)
  }
  return {
    parentOf: (fn) => parents.get(formatBus(fn.at.domain, fn.at.bus)) ?? null,
    hostedBuses: [...hosted].map(([bus, host]) => ({ bus, host })),
  }
}

function findPlace(link: string): { parent: string | null; hosted: HostedBus | null } {
  const parts = link.split('/')
  const above = parts.at(-2) ?? ''
  const parent = parseAddress(above) === null ? null : above
  const rootAt = parts.findLastIndex((part) => ROOT.test(part))
  const host = parts[rootAt - 1] ?? ''
  const bus = ROOT.exec(parts[rootAt] ?? '')?.[1]
  if (bus === undefined || parseAddress(host) === null) return { parent, hosted: null }
  return { parent, hosted: { bus, host } }
}
