/**
 * Addresses for functions that firmware left without: the short form of drivers/pci/setup-bus.c.
 *
 * Sizes are added up from the leaves to the root, addresses handed out from the root to the leaves. What
 * firmware assigned stays where it is. Ports with a hot-plug slot get room for a small device.
 *
 *     host bridge:  32-bit window (3 GiB - firmware)   and   64-bit window above memory
 *     bridge:       memory window                      and   prefetchable window
 */
import type { Bar } from '../hardware/function.ts'
import type { KernelContext } from '../context.ts'
import { AddressWindow, alignUp } from './address-window.ts'
import {
  type BridgeWindow,
  barOffset,
  readAddress,
  readMemoryWindow,
  readPrefetchWindow,
  writeAddress,
  writeMemoryWindow,
  writePrefetchWindow,
} from './base-address.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'

const MEGABYTE = 0x100000
const GIGABYTE = 0x40000000
/** pci=hpmemsize: room kept behind a hot-plug port. */
const HOT_PLUG_BYTES = 2 * MEGABYTE
/** Device registers of the machine lie between 3 GiB and the I/O APIC. */
const HOLE = { start: 3 * GIGABYTE, end: 0xfec00000 } as const
const HIGH_WINDOW_BYTES = 2 ** 44
const IO = { start: 0x1000, end: 0x10000 } as const
const VF_BARS = 0x24

/** The windows through which a bus is reached. */
interface Windows {
  readonly memory: AddressWindow
  readonly prefetch: AddressWindow
}

/** Addresses of one BAR or bridge window. */
interface Taken {
  readonly window: AddressWindow
  readonly start: number
}

/** One BAR, or the window of a bridge, that wants addresses. */
interface Request {
  readonly device: PciDevice
  readonly size: number
  readonly alignment: number
  readonly prefetch: boolean
  readonly assign: (address: number) => void
  /** What happens when there are no addresses for it. */
  readonly fail: () => void
}

export class AddressSpace {
  readonly #host: Windows
  readonly #io = new AddressWindow(IO.start, IO.end)
  readonly #windows = new Map<PciBus, Windows>()
  /** What functions have taken; those that are not in it have not been looked at. */
  readonly #taken = new Map<PciDevice, Taken[]>()

  constructor(context: KernelContext) {
    const top = Math.max(
      4 * GIGABYTE,
      ...context.memory.ranges.map(({ firstPage, pages }) => (firstPage + pages) * 4096),
    )
    const high = alignUp(top, GIGABYTE)
    this.#host = {
      memory: new AddressWindow(HOLE.start, HOLE.end),
      prefetch: new AddressWindow(high, high + HIGH_WINDOW_BYTES),
    }
  }

  /** Boot (pcibios_resource_survey): what firmware assigned stays, the rest gets addresses. */
  survey(bus: PciBus): void {
    this.#claimBelow(bus)
    this.#assignBelow(bus)
  }

  /**
   * Gives addresses to what is new on the bus and below (pci_assign_unassigned_bus_resources). Windows of a
   * bridge that is found again are made for what is behind it now, whatever its registers say.
   */
  assign(bus: PciBus): void {
    closeNewBridges(bus)
    this.survey(bus)
  }

  /** The function is gone: its addresses are free. It need not answer any more. */
  release(device: PciDevice): void {
    for (const { window, start } of this.#taken.get(device) ?? []) window.release(start)
    this.#taken.delete(device)
  }

  /** The bus is gone. */
  forget(bus: PciBus): void {
    this.#windows.delete(bus)
  }

  /** What firmware assigned is taken, before anything new is handed out. */
  #claimBelow(bus: PciBus): void {
    const windows = this.#windowsOf(bus)
    for (const device of bus.devices) {
      if (this.#taken.has(device)) continue
      const { config } = device.hardware
      for (const { bar, offset, count } of addressRegisters(device)) {
        const start = readAddress(config, offset, bar)
        const window = bar.kind === 'io' ? this.#io : pick(windows, start)
        if (start === 0 || !window.reaches(start)) continue
        if (window.claim(start, bar.size * count)) this.#note(device, window, start)
        // Somebody else has got the address since.
        else writeAddress(config, offset, bar, 0)
      }
      if (device.headerType === 1) this.#claimWindows(device, windows)
    }
    for (const child of bus.children) this.#claimBelow(child)
  }

  #claimWindows(bridge: PciDevice, windows: Windows): void {
    const { config } = bridge.hardware
    for (const own of [readMemoryWindow(config), readPrefetchWindow(config)]) {
      if (own === null) continue
      const window = pick(windows, own.start)
      if (window.claim(own.start, own.end - own.start)) this.#note(bridge, window, own.start)
    }
  }

  #note(device: PciDevice, window: AddressWindow, start: number): void {
    const taken = this.#taken.get(device)
    if (taken === undefined) this.#taken.set(device, [{ window, start }])
    else taken.push({ window, start })
  }

  #assignBelow(bus: PciBus): void {
    const windows = this.#windowsOf(bus)
    const requests: Request[] = []
    for (const device of bus.devices) {
      requests.push(...this.#requestsOf(device))
      if (device.subordinate !== null) requests.push(...this.#windowRequests(device))
    }
    // Large ones first: then alignment wastes nothing.
    requests.sort((a, b) => b.alignment - a.alignment)
    for (const { device, size, alignment, prefetch, assign, fail } of requests) {
      const choice = prefetch ? [windows.prefetch, windows.memory] : [windows.memory]
      const found = allocateIn(choice, size, alignment)
      if (found === null) {
        fail()
        continue
      }
      this.#note(device, found.window, found.start)
      assign(found.start)
    }
    for (const child of bus.children) this.#assignBelow(child)
  }

  #requestsOf(device: PciDevice): Request[] {
    const { config } = device.hardware
    const requests: Request[] = []
    for (const { bar, offset, count } of addressRegisters(device)) {
      if (readAddress(config, offset, bar) !== 0 || device.forgottenBars.has(offset)) continue
      const assign = (address: number): void => writeAddress(config, offset, bar, address)
      const fail = (): void => void device.forgottenBars.add(offset)
      if (bar.kind === 'io') {
        const address = this.#io.allocate(bar.size, Math.max(bar.size, 4))
        if (address === null) {
          fail()
          continue
        }
        this.#note(device, this.#io, address)
        assign(address)
        continue
      }
      const size = bar.size * count
      const prefetch = wantsPrefetch(bar)
      requests.push({ device, size, alignment: bar.size, prefetch, assign, fail })
    }
    return requests
  }

  /** Windows of a bridge that has none, as large as what is below it wants. */
  #windowRequests(bridge: PciDevice): Request[] {
    const { config } = bridge.hardware
    const bus = bridge.subordinate
    if (bus === null || bridge.headerType !== 1) return []
    const requests: Request[] = []
    const want = (prefetch: boolean, write: (address: number, size: number) => void): void => {
      const size = this.#needed(bus, prefetch)
      const assign = (address: number): void => {
        write(address, size)
        this.#windows.delete(bus)
      }
      if (size === 0) return
      const fail = (): void => undefined
      requests.push({ device: bridge, size, alignment: MEGABYTE, prefetch, assign, fail })
    }
    if (readMemoryWindow(config) === null) {
      want(false, (start, size) => writeMemoryWindow(config, { start, end: start + size }))
    }
    if (readPrefetchWindow(config) === null) {
      want(true, (start, size) => writePrefetchWindow(config, { start, end: start + size }))
    }
    return requests
  }

  /** Bytes of window a bus wants, in steps of a bridge's granularity. */
  #needed(bus: PciBus, prefetch: boolean): number {
    let size = bus.bridge !== null && expectsCards(bus.bridge) ? HOT_PLUG_BYTES : 0
    let used = 0
    const sizes: number[] = []
    for (const device of bus.devices) {
      for (const { bar, offset, count } of addressRegisters(device)) {
        if (bar.kind === 'io' || wantsPrefetch(bar) !== prefetch) continue
        if (readAddress(device.hardware.config, offset, bar) === 0) sizes.push(bar.size * count)
      }
      if (device.subordinate !== null) used += this.#needed(device.subordinate, prefetch)
    }
    for (const own of sizes.sort((a, b) => b - a)) used = alignUp(used, own) + own
    size = Math.max(size, used)
    return alignUp(size, MEGABYTE)
  }

  #windowsOf(bus: PciBus): Windows {
    if (bus.parent === null) return this.#host
    let windows = this.#windows.get(bus)
    if (windows === undefined) {
      windows = this.#readWindows(bus)
      this.#windows.set(bus, windows)
    }
    return windows
  }

  #readWindows(bus: PciBus): Windows {
    // Virtual functions beyond their physical function's bus have its addresses.
    if (bus.bridge === null) return { memory: CLOSED, prefetch: CLOSED }
    const { config } = bus.bridge.hardware
    return {
      memory: addressWindow(readMemoryWindow(config)),
      prefetch: addressWindow(readPrefetchWindow(config)),
    }
  }
}

function closeNewBridges(bus: PciBus): void {
  for (const device of bus.devices) {
    const { subordinate } = device
    if (subordinate === null) continue
    if (device.added) closeNewBridges(subordinate)
    else closeBridge(device, subordinate)
  }
}

/** Takes the addresses from a bridge and everything behind it. */
function closeBridge(bridge: PciDevice, bus: PciBus): void {
  clearAddresses(bridge)
  writeMemoryWindow(bridge.hardware.config, null)
  writePrefetchWindow(bridge.hardware.config, null)
  for (const device of bus.devices) {
    if (device.subordinate === null) clearAddresses(device)
    else closeBridge(device, device.subordinate)
  }
}

function clearAddresses(device: PciDevice): void {
  const { config } = device.hardware
  for (const { bar, offset } of addressRegisters(device)) writeAddress(config, offset, bar, 0)
}

/** The first window that has room. */
function allocateIn(
  windows: readonly AddressWindow[],
  size: number,
  alignment: number,
): Taken | null {
  for (const window of windows) {
    const start = window.allocate(size, alignment)
    if (start !== null) return { window, start }
  }
  return null
}

const CLOSED = new AddressWindow(0, 0)

function addressWindow(window: BridgeWindow | null): AddressWindow {
  return window === null ? CLOSED : new AddressWindow(window.start, window.end)
}

function pick({ memory, prefetch }: Windows, address: number): AddressWindow {
  return prefetch.reaches(address) ? prefetch : memory
}

/** Only prefetchable 64-bit BARs may lie in a prefetchable window above 4 GiB. */
function wantsPrefetch(bar: Bar): boolean {
  return bar.kind === 'mem64' && bar.prefetchable
}

/** Base address registers of a function, those for its virtual functions included. */
function addressRegisters(
  device: PciDevice,
): readonly { readonly bar: Bar; readonly offset: number; readonly count: number }[] {
  if (device.isVirtual) return []
  const { bars } = device.hardware
  const own = bars.map((bar) => ({ bar, offset: barOffset(device, bar), count: 1 }))
  const { sriov } = device
  if (sriov === null) return own
  const virtual = device.hardware.virtualFunction?.(0).bars ?? []
  return [
    ...own,
    ...virtual.map((bar) => ({
      bar,
      offset: sriov.capability + VF_BARS + 4 * bar.index,
      count: sriov.totalVfs,
    })),
  ]
}

const SHPC = 0x0c
const EXPRESS = 0x10
const SLOT_IMPLEMENTED = 0x100
const HOT_PLUG_CAPABLE = 0x40

/** Room is kept behind hot-plug ports, and behind conventional bridges with hot-plug slots. */
function expectsCards(bridge: PciDevice): boolean {
  return hasHotPlugSlot(bridge) || bridge.hardware.config.capability(SHPC) !== 0
}

/** A PCI Express port with a slot that says it is hot-plug capable (is_hotplug_bridge). */
export function hasHotPlugSlot({ hardware: { config } }: PciDevice): boolean {
  const offset = config.capability(EXPRESS)
  if (offset === 0 || (config.read(offset + 2, 2) & SLOT_IMPLEMENTED) === 0) return false
  return (config.read(offset + 0x14, 4) & HOT_PLUG_CAPABLE) !== 0
}
