/**
 * The wiring of a machine: buses, what sits in their slots, and what is behind each bridge. People plug
 * and unplug here; kernels only find out by reading configuration space.
 *
 * A reset is wiring too: a function that resets itself, or a bridge whose Secondary Bus Reset bit is
 * set, resets registers and behaviour of what is reached (PCI Express Base Specification 6.6).
 */
import { assert } from '../../base/assert.ts'
import { parseAddress } from '../../pci/address.ts'
import type { HardwareFunction } from './function.ts'

/** A bus that begins at a host bridge. */
export interface RootBus {
  readonly domain: number
  readonly number: number
  /** The function that issues the DMA of everything on it (Intel VMD); null on real host bridges. */
  readonly host: HardwareFunction | null
}

/** One bus as wires: up to 256 functions by devfn (PCIe links use device 0 only). */
export class HardwareBus {
  /** The bridge above; null for a root bus. */
  readonly bridge: HardwareFunction | null
  /** Null for a bus behind a bridge. */
  readonly root: RootBus | null
  /** By devfn (device << 3 | function). */
  readonly functions: Map<number, HardwareFunction> = new Map()

  constructor(bridge: HardwareFunction | null, root: RootBus | null = null) {
    this.bridge = bridge
    this.root = root
  }
}

export type SlotListener = (fn: HardwareFunction, plugged: boolean) => void

const BRIDGE_CONTROL = 0x3e
const SECONDARY_BUS_RESET = 0x40

export class Slots {
  /** Root buses by "domain:bus" as formatBus prints it: "0000:00". */
  readonly roots: Map<string, HardwareBus> = new Map()
  readonly #below = new Map<HardwareFunction, HardwareBus>()
  readonly #places = new Map<HardwareFunction, { bus: HardwareBus; devfn: number }>()
  /** Functions whose resets are wired already: they may be plugged again. */
  readonly #wired = new WeakSet<HardwareFunction>()
  readonly #listeners: SlotListener[] = []

  /**
   * @param name "0000:00"
   * @param host the function behind which the bus hides (Intel VMD)
   */
  addRoot(name: string, host: HardwareFunction | null = null): HardwareBus {
    const at = parseAddress(`${name}:00.0`)
    assert(at !== null, `"${name}" is no bus`)
    const bus = new HardwareBus(null, { domain: at.domain, number: at.bus, host })
    this.roots.set(name, bus)
    return bus
  }

  /** Told of every function that is plugged or taken out, after the fact. */
  onChange(listener: SlotListener): void {
    this.#listeners.push(listener)
  }

  /** The secondary side of a bridge; made on first use. */
  below(bridge: HardwareFunction): HardwareBus {
    let bus = this.#below.get(bridge)
    if (bus === undefined) {
      bus = new HardwareBus(bridge)
      this.#below.set(bridge, bus)
    }
    return bus
  }

  /** Every function that sits in a slot. */
  functions(): IterableIterator<HardwareFunction> {
    return this.#places.keys()
  }

  /** @throws Error when the place is taken: a mistake of the caller, hardware cannot do it */
  plug(fn: HardwareFunction, bus: HardwareBus, devfn: number): void {
    if (bus.functions.has(devfn)) throw new Error(`devfn ${String(devfn)} is taken`)
    bus.functions.set(devfn, fn)
    this.#places.set(fn, { bus, devfn })
    fn.config.present = true
    if (!this.#wired.has(fn)) this.#wireResets(fn)
    for (const listener of this.#listeners) listener(fn, true)
  }

  /** Takes a function out, with everything below it. */
  unplug(fn: HardwareFunction): void {
    const place = this.#places.get(fn)
    if (place === undefined) return
    for (const child of this.#below.get(fn)?.functions.values() ?? []) this.unplug(child)
    this.#below.delete(fn)
    fn.connect(null)
    place.bus.functions.delete(place.devfn)
    this.#places.delete(fn)
    fn.config.present = false
    for (const listener of this.#listeners) listener(fn, false)
  }

  /** Where a function sits; null when it is in no slot. */
  place(fn: HardwareFunction): { readonly bus: HardwareBus; readonly devfn: number } | null {
    return this.#places.get(fn) ?? null
  }

  #wireResets(fn: HardwareFunction): void {
    this.#wired.add(fn)
    const { config } = fn
    config.onReset((kind) => {
      fn.reset(kind)
      // A bridge in reset lets the reset through to what is below.
      if (kind === 'bus') this.#resetBelow(fn)
    })
    if ((config.read(0x0e, 1) & 0x7f) === 0) return
    config.onWrite(BRIDGE_CONTROL, 2, () => {
      if ((config.read(BRIDGE_CONTROL, 2) & SECONDARY_BUS_RESET) !== 0) this.#resetBelow(fn)
    })
  }

  #resetBelow(bridge: HardwareFunction): void {
    for (const fn of this.#below.get(bridge)?.functions.values() ?? []) fn.config.reset('bus')
  }
}
