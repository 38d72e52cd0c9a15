/**
 * The wiring of a machine: buses, what sits in their slots, and what is behind each bridge. People plug
 * and unplug here; kernels only find out by reading configuration space.
 */
import type { HardwareFunction } from './function.ts'

/** One bus as wires: up to 256 functions by devfn (PCIe links use device 0 only). */
export class HardwareBus {
  /** The bridge above; null for a root bus. */
  readonly bridge: HardwareFunction | null
  /** By devfn (device << 3 | function). */
  readonly functions: Map<number, HardwareFunction> = new Map()

  constructor(bridge: HardwareFunction | null) {
    this.bridge = bridge
  }
}

export class Slots {
  /** Root buses by "domain:bus" as formatBus prints it: "0000:00". */
  readonly roots: Map<string, HardwareBus> = new Map()
  readonly #below = new Map<HardwareFunction, HardwareBus>()
  readonly #places = new Map<HardwareFunction, { bus: HardwareBus; devfn: number }>()

  addRoot(name: string): HardwareBus {
    const bus = new HardwareBus(null)
    this.roots.set(name, bus)
    return bus
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

  /** @throws Error when the place is taken: a mistake of the caller, hardware cannot do it */
  plug(fn: HardwareFunction, bus: HardwareBus, devfn: number): void {
    if (bus.functions.has(devfn)) throw new Error(`devfn ${String(devfn)} is taken`)
    bus.functions.set(devfn, fn)
    this.#places.set(fn, { bus, devfn })
  }

  /** Takes a function out, with everything below it. */
  unplug(fn: HardwareFunction): void {
    const place = this.#places.get(fn)
    if (place === undefined) return
    fn.connect(null)
    place.bus.functions.delete(place.devfn)
    this.#places.delete(fn)
    for (const child of this.#below.get(fn)?.functions.values() ?? []) this.unplug(child)
    this.#below.delete(fn)
  }

  /** Where a function sits; null when it is in no slot. */
  place(fn: HardwareFunction): { readonly bus: HardwareBus; readonly devfn: number } | null {
    return this.#places.get(fn) ?? null
  }
}
