/**
 * Where each function of a listing sits: the bridge above it, the physical function of a virtual
 * one, the VMD endpoint above a hidden domain, and whether its slot holds several functions.
 *
 * lspci prints none of these; they follow from bus numbers and routing id arithmetic. What rests on
 * a guess is written into the function's `config.damage`.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { HostedBus } from '../isolation/host.ts'
import { devfn, formatBus, type PciAddress } from '../pci/address.ts'
import { type BridgeBuses, EXTENDED_CAPABILITY, PCIE_TYPE } from '../pci/config-facts.ts'
import type { FunctionText } from './function-facts.ts'

export interface Place {
  readonly parent: string | null
  readonly physicalFunction: Fact<string | null>
  readonly multifunction: Fact<boolean>
  /** A sentence when the parent is a guess; null when it is certain. */
  readonly note: string | null
}

interface Bridge {
  readonly fn: FunctionText
  readonly buses: BridgeBuses
}

/** The bridge above a bus, and whether that is a guess. */
interface Above {
  readonly bridge: Bridge | null
  readonly note: string | null
}

/** Where every function sits, by address. */
export function placeFunctions(fns: readonly FunctionText[]): ReadonlyMap<string, Place> {
  const above = busesAbove(fns)
  const physical = virtualFunctions(fns)
  const unnumbered = unnumberedSriov(fns)
  const bySlot = new Map<string, FunctionText[]>()
  for (const fn of fns) {
    if (physical.has(fn.address)) continue
    const slot = slotOf(fn.at)
    const mates = bySlot.get(slot)
    if (mates === undefined) bySlot.set(slot, [fn])
    else mates.push(fn)
  }
  const places = new Map<string, Place>()
  for (const fn of fns) {
    const pf = physical.get(fn.address) ?? null
    const own = above.get(busOf(fn.at)) ?? { bridge: null, note: null }
    // A virtual function's bus may have no bridge of its own: then the one above its physical
    // function's bus leads there (drivers/pci/iov.c, virtfn_add_bus).
    const virtual = pf !== null && (own.bridge === null || own.note !== null)
    const place = virtual ? { bridge: above.get(busOf(pf.at))?.bridge ?? null, note: null } : own
    places.set(fn.address, {
      parent: place.bridge?.fn.address ?? null,
      physicalFunction: pf === null ? notVirtual(fn, unnumbered) : known(pf.address),
      multifunction:
        pf === null ? multifunction(fn, bySlot.get(slotOf(fn.at)) ?? []) : known(false),
      note: place.note,
    })
  }
  return places
}

function busOf(at: PciAddress): string {
  return formatBus(at.domain, at.bus)
}

function slotOf(at: PciAddress): string {
  return `${busOf(at)}:${String(at.device)}`
}

/** What sits behind a link, so a port must be above it; root complexes have other types inside. */
const BELOW_A_PORT: ReadonlySet<number> = new Set([
  PCIE_TYPE.endpoint,
  PCIE_TYPE.legacyEndpoint,
  PCIE_TYPE.upstreamPort,
  PCIE_TYPE.downstreamPort,
  PCIE_TYPE.pcieToPciBridge,
])

/** For every bus that has functions: the bridge above it. */
function busesAbove(fns: readonly FunctionText[]): ReadonlyMap<string, Above> {
  const bridges = new Map<number, Bridge[]>()
  // Domains with bridges whose bus numbers are not printed, and buses that cannot be root buses.
  const mute = new Set<number>()
  const needsBridge = new Set<string>()
  for (const fn of fns) {
    const { buses, headerType, pcie } = fn.config
    if (pcie.known && pcie.value !== null && BELOW_A_PORT.has(pcie.value.type)) {
      needsBridge.add(busOf(fn.at))
    }
    if (buses.known && buses.value !== null) {
      const list = bridges.get(fn.at.domain)
      const bridge = { fn, buses: buses.value }
      if (list === undefined) bridges.set(fn.at.domain, [bridge])
      else list.push(bridge)
    } else if (headerType.known && headerType.value !== 0) mute.add(fn.at.domain)
  }
  const result = new Map<string, Above>()
  for (const { at } of fns) {
    const name = busOf(at)
    if (result.has(name)) continue
    const found = bridgeAbove(at, bridges.get(at.domain) ?? [])
    const guess =
      found.bridge === null && at.bus !== 0 && (mute.has(at.domain) || needsBridge.has(name))
    const note = `the text does not print which bridge leads to bus ${name}; taken as a root bus`
    result.set(name, guess ? { bridge: null, note } : found)
  }
  return result
}

function bridgeAbove(at: PciAddress, bridges: readonly Bridge[]): Above {
  // A bridge that nothing was assigned to has zeros there; it leads nowhere.
  const claims = bridges.filter(
    ({ fn, buses }) => buses.secondary === at.bus && at.bus !== 0 && fn.at.bus !== at.bus,
  )
  const direct = claims.find(({ fn, buses }) => buses.primary === fn.at.bus) ?? claims[0]
  if (direct !== undefined) return { bridge: direct, note: null }
  let closest: Bridge | null = null
  for (const bridge of bridges) {
    const { secondary, subordinate } = bridge.buses
    const holds = secondary < at.bus && at.bus <= subordinate && bridge.fn.at.bus !== at.bus
    if (holds && (closest === null || closest.buses.secondary < secondary)) closest = bridge
  }
  if (closest === null) return { bridge: null, note: null }
  const note =
    `no bridge in the text leads to bus ${busOf(at)}; taken as behind ${closest.fn.address}, ` +
    'whose range of buses holds it'
  return { bridge: closest, note }
}

/** Physical function by virtual function address (SR-IOV 1.1, 2.1.2: First VF Offset, VF Stride). */
function virtualFunctions(fns: readonly FunctionText[]): ReadonlyMap<string, FunctionText> {
  const byRoutingId = new Map<number, FunctionText>()
  for (const fn of fns) byRoutingId.set(routingId(fn.at), fn)
  const result = new Map<string, FunctionText>()
  // Routing ids are not shared, so all virtual functions of a domain are fewer than 65,536; numbers
  // that say otherwise are damaged, and following them would take for ever.
  let steps = 0x10000 + 4 * fns.length
  for (const fn of fns) {
    const sriov = fn.config.sriov
    if (!sriov.known || sriov.value === null) continue
    const { numVfs, offset, stride } = sriov.value
    const count = stride === 0 ? Math.min(numVfs, 1) : numVfs
    for (let i = 0; i < count && steps > 0; i += 1) {
      steps -= 1
      const vf = byRoutingId.get(routingId(fn.at) + offset + stride * i)
      if (vf !== undefined && vf !== fn) result.set(vf.address, fn)
    }
  }
  return result
}

/** Domain, bus, device and function as one number. */
function routingId(at: PciAddress): number {
  return at.domain * 0x10000 + at.bus * 0x100 + devfn(at)
}

/** Whether a function that no numbers name as virtual could be one all the same. */
function notVirtual(
  fn: FunctionText,
  unnumbered: ReadonlyMap<string, number>,
): Fact<string | null> {
  if (/\bVirtual Function\b/i.test(fn.name ?? '')) {
    return unknown('by its name a virtual function, but the text does not tell whose')
  }
  const own = routingId(fn.at)
  const first = Math.min(
    unnumbered.get(vendorKey(fn, fn.at.bus)) ?? own,
    unnumbered.get(vendorKey(fn, fn.at.bus - 1)) ?? own,
  )
  return first < own && !hasSriov(fn)
    ? unknown(
        'the text lists SR-IOV near this function without its numbers (run lspci -vv as root)',
      )
    : known(null)
}

/** Functions whose SR-IOV is listed without numbers: the first of each vendor on each bus. */
function unnumberedSriov(fns: readonly FunctionText[]): ReadonlyMap<string, number> {
  const result = new Map<string, number>()
  for (const fn of fns) {
    if (fn.config.sriov.known || !hasSriov(fn)) continue
    const key = vendorKey(fn, fn.at.bus)
    if (!result.has(key)) result.set(key, routingId(fn.at))
  }
  return result
}

function hasSriov(fn: FunctionText): boolean {
  const { extendedCapabilities } = fn.config
  return (
    extendedCapabilities.known && extendedCapabilities.value.includes(EXTENDED_CAPABILITY.sriov)
  )
}

/** A virtual function has its physical function's vendor, and is on its bus or the ones after it. */
function vendorKey(fn: FunctionText, bus: number): string {
  return `${String(fn.at.domain)}:${String(bus)}:${fn.vendor.known ? String(fn.vendor.value) : ''}`
}

/**
 * The bit from a hex dump; else from the slot. Several functions in a slot are only found when the
 * bit is set. Where a listing shows a slot with function 0 alone, the bit is taken as clear: with no
 * second function it has no effect on grouping, but for the upstream port of a switch, and those
 * with a set bit and nothing beside them have not been seen.
 */
function multifunction(fn: FunctionText, slot: readonly FunctionText[]): Fact<boolean> {
  if (fn.config.multifunction.known) return fn.config.multifunction
  if (slot.length > 1) return known(true)
  if (fn.moreMayFollow) {
    return unknown('the text is not complete here: more functions of this slot may follow')
  }
  if (fn.at.function === 0) return known(false)
  return unknown('no function 0 is listed in this slot')
}

/** Device ids of Intel VMD endpoints (drivers/pci/controller/vmd.c). */
const VMD_DEVICES = new Set([
  0x201d, 0x28c0, 0x467f, 0x4c3d, 0x7d0b, 0x9a0b, 0xa77f, 0xad0b, 0xb06f, 0xb07f, 0xb60b,
])
/** VMD makes domains above the 16 bits that firmware can number. */
const FIRST_VMD_DOMAIN = 0x10000

/** Root buses in VMD domains, when it is clear which endpoint issues their DMA. */
export function hostedBuses(
  fns: readonly FunctionText[],
  places: ReadonlyMap<string, Place>,
): readonly HostedBus[] {
  const hosts = fns.filter(isVmd)
  const host = hosts[0]
  if (host === undefined || hosts.length > 1) return []
  const roots = new Set<string>()
  for (const fn of fns) {
    if (fn.at.domain < FIRST_VMD_DOMAIN) continue
    if ((places.get(fn.address)?.parent ?? null) === null) roots.add(busOf(fn.at))
  }
  return [...roots].map((bus) => ({ bus, host: host.address }))
}

function isVmd(fn: FunctionText): boolean {
  if (fn.at.domain >= FIRST_VMD_DOMAIN) return false
  if (fn.vendor.known && fn.device.known) {
    return fn.vendor.value === 0x8086 && VMD_DEVICES.has(fn.device.value)
  }
  return /^(?:Intel.* )?Volume Management Device NVMe RAID/.test(fn.name ?? '')
}
