/**
 * Which way a transaction takes through bridges and switches: under which requester id it arrives at
 * the top, and whether it gets there at all.
 *
 * A request that hits a window or a register on its way goes straight down to the peer there, unless a
 * port with P2P Request Redirect sends it up. What goes straight never sees the IOMMU; this is all that
 * the `p2p` side of isolation is about. Where a device's inside is not known (functions of one slot
 * without ACS), the worst is taken, as the kernel's grouping does.
 *
 * PCI Express Base Specification 6.12 (ACS), PCI Express to PCI/PCI-X Bridge Specification 2.3.
 */
import { ACS, EXTENDED_CAPABILITY, PCIE_TYPE } from '../../pci/config-facts.ts'
import { expressType } from './config-space.ts'
import type { HardwareFunction } from './function.ts'
import type { HardwareBus, Slots } from './slots.ts'
import { hasWideAcs } from './wide-acs.ts'

export interface Requester {
  readonly domain: number
  /** bus << 8 | devfn, as the root complex sees it. */
  readonly id: number
}

/**
 * @param inSlot the function, or the physical function of a virtual one
 * @param routingOffset what a virtual function adds to the physical function's id
 */
export function requesterOf(
  slots: Slots,
  inSlot: HardwareFunction,
  routingOffset: number,
): Requester | null {
  const place = slots.place(inSlot)
  if (place === null) return null
  let { bus } = place
  let id = ((busNumber(bus) << 8) | place.devfn) + routingOffset
  while (bus.bridge !== null) {
    const above = slots.place(bus.bridge)
    if (above === null) return null
    id = rewritten(id, bus, bus.bridge, above)
    ;({ bus } = above)
  }
  if (bus.root === null) return null
  // Intel VMD puts its own id on everything from its domain.
  if (bus.root.host !== null) return requesterOf(slots, bus.root.host, 0)
  return { domain: bus.root.domain, id: id & 0xffff }
}

/** The number software gave the bus: the root's own, or the secondary number of the bridge above. */
function busNumber(bus: HardwareBus): number {
  return bus.bridge === null ? (bus.root?.number ?? 0) : bus.bridge.config.read(0x19, 1)
}

/** The id on the far side of a bridge: conventional PCI carries none, so the bridge puts its own on. */
function rewritten(
  id: number,
  bus: HardwareBus,
  bridge: HardwareFunction,
  place: { readonly bus: HardwareBus; readonly devfn: number },
): number {
  const type = expressType(bridge.config)
  const { rootPort, upstreamPort, downstreamPort, pcieToPciBridge } = PCIE_TYPE
  if (type === rootPort || type === upstreamPort || type === downstreamPort) return id
  if (type === pcieToPciBridge) return busNumber(bus) << 8
  const above = place.bus.bridge
  const aboveType = above === null ? null : expressType(above.config)
  // A bridge right below PCI Express is one of its kind, even when it shows no such capability.
  const hidden = type === null && aboveType !== null && aboveType !== pcieToPciBridge
  if (hidden) return busNumber(bus) << 8
  return (busNumber(place.bus) << 8) | place.devfn
}

/** Whether a request to an address inside `target` gets there without passing the root complex. */
export function reachesDirectly(
  slots: Slots,
  source: HardwareFunction,
  target: HardwareFunction,
  address: number,
): boolean {
  if (source === target) return false
  const towards = wayDown(slots, target, address)
  let at = slots.place(source)
  let through = source
  while (at !== null) {
    const next = towards.get(at.bus)
    if (next !== undefined && meets(slots, at.bus, through, next)) return true
    if (at.bus.bridge === null) return false
    through = at.bus.bridge
    at = slots.place(through)
  }
  return false
}

/** Whether the bridges between the root and the target let the address down to it. */
export function reachesFromRoot(slots: Slots, target: HardwareFunction, address: number): boolean {
  for (const bus of wayDown(slots, target, address).keys()) if (bus.bridge === null) return true
  return false
}

/** For each bus from which the address leads to the target: what answers for it there. */
function wayDown(
  slots: Slots,
  target: HardwareFunction,
  address: number,
): ReadonlyMap<HardwareBus, HardwareFunction> {
  const way = new Map<HardwareBus, HardwareFunction>()
  let place = slots.place(target)
  let answers = target
  while (place !== null) {
    way.set(place.bus, answers)
    const { bridge } = place.bus
    if (bridge === null || !forwardsDown(bridge, address)) break
    answers = bridge
    place = slots.place(bridge)
  }
  return way
}

const MEMORY_ENABLE = 0x2

/** Whether the address is in the bridge's memory or prefetchable window. */
function forwardsDown({ config }: HardwareFunction, address: number): boolean {
  if ((config.read(0x04, 2) & MEMORY_ENABLE) === 0) return false
  const memoryBase = (config.read(0x20, 2) & 0xfff0) * 0x10000
  const memoryLimit = (config.read(0x22, 2) & 0xfff0) * 0x10000 + 0xfffff
  if (address >= memoryBase && address <= memoryLimit) return true
  const wide = (config.read(0x24, 2) & 0xf) === 1
  const upper = (offset: number): number => (wide ? config.read(offset, 4) * 0x1_0000_0000 : 0)
  const base = (config.read(0x24, 2) & 0xfff0) * 0x10000 + upper(0x28)
  const limit = (config.read(0x26, 2) & 0xfff0) * 0x10000 + 0xfffff + upper(0x2c)
  return address >= base && address <= limit
}

/** Whether a request that comes through `from` goes to `to` on the same bus. */
function meets(
  slots: Slots,
  bus: HardwareBus,
  from: HardwareFunction,
  to: HardwareFunction,
): boolean {
  const type = expressType(from.config)
  if (from === to) return facesDown(type) && turnsBack(from)
  const above = bus.bridge === null ? null : expressType(bus.bridge.config)
  if (bus.bridge !== null && (above === null || above === PCIE_TYPE.pcieToPciBridge)) return true
  if (above === PCIE_TYPE.upstreamPort) return !redirects(from)
  // A link, or the root complex: only functions of one device can have a way of their own, and
  // integrated endpoints must not (VT-d specification, "peer-to-peer").
  const slot = (slots.place(from)?.devfn ?? 0) >> 3
  if (slot !== (slots.place(to)?.devfn ?? 0) >> 3) return false
  return type !== PCIE_TYPE.integratedEndpoint && !redirects(from)
}

function facesDown(type: number | null): boolean {
  return type === PCIE_TYPE.rootPort || type === PCIE_TYPE.downstreamPort
}

/** P2P Request Redirect; a function that has ACS but not this bit does no peer-to-peer. */
function redirects(fn: HardwareFunction): boolean {
  const bits = acsBits(fn)
  if (bits === null) return false
  return (bits.capability & ACS.requestRedirect) === 0 || (bits.control & ACS.requestRedirect) !== 0
}

/** Whether a request from below with an address below goes down again: Upstream Forwarding is off. */
function turnsBack(port: HardwareFunction): boolean {
  const bits = acsBits(port)
  if (bits === null) return true
  return (bits.capability & ~bits.control & ACS.upstreamForwarding) !== 0
}

function acsBits({ config }: HardwareFunction): { capability: number; control: number } | null {
  const offset = config.extendedCapability(EXTENDED_CAPABILITY.acs)
  if (offset === 0) return null
  const wide = hasWideAcs(config.read(0x00, 2), config.read(0x02, 2))
  return {
    capability: config.read(offset + 4, 2),
    control: config.read(offset + (wide ? 8 : 6), 2),
  }
}
