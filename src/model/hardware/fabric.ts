/**
 * The memory fabric: how a transaction of a function travels, from its bus master bit to memory.
 *
 *     function --bus master, D0--> peer on the way? --straight--> registers of the peer
 *                                   | no, or redirected
 *                                   v
 *     root complex: requester id --> interrupt window? --> remapping --> processor
 *                                   | no
 *                                   v
 *     IOMMU in charge: translate --> memory, or registers that answer at the address
 *
 * What goes straight to a peer never sees the IOMMU (routing.ts says when). Ways are computed once and
 * kept until somebody rewires a bridge.
 */
import type { PhysicalMemory } from '../memory/physical-memory.ts'
import { AddressMap } from './address-map.ts'
import type { BusMaster, HardwareFunction } from './function.ts'
import { type Delivery, Port, type TranslationOf, type Wiring } from './port.ts'
import type { Slots } from './slots.ts'

const SRIOV = 0x10
const VF_ENABLE = 0x1

export class Fabric {
  readonly #wiring: Wiring
  /** Functions whose registers are watched already: they may be plugged again. */
  readonly #watched = new WeakSet<HardwareFunction>()
  /** Virtual functions that are on the bus now. */
  readonly #virtual = new Map<HardwareFunction, number>()
  /** The way to memory of each function that is on a bus. */
  readonly #ports = new WeakMap<HardwareFunction, BusMaster>()
  readonly #deliveries: ((delivery: Delivery) => void)[] = []
  readonly #pins: ((fn: HardwareFunction, level: boolean) => void)[] = []

  constructor(slots: Slots, memory: PhysicalMemory, translationOf: TranslationOf) {
    this.#wiring = {
      slots,
      memory,
      addresses: new AddressMap(),
      epoch: 0,
      translationOf,
      deliver: (delivery) => {
        for (const listener of this.#deliveries) listener(delivery)
      },
      setPin: (fn, level) => {
        for (const listener of this.#pins) listener(fn, level)
      },
    }
    for (const fn of slots.functions()) this.#plugged(fn)
    slots.onChange((fn, plugged) => {
      this.rewired()
      if (plugged) this.#plugged(fn)
      else this.#setVirtual(fn, 0)
      this.#wiring.addresses.changed(fn)
    })
  }

  /** Called for every interrupt that gets through. */
  onInterrupt(listener: (delivery: Delivery) => void): void {
    this.#deliveries.push(listener)
  }

  /** Called when the INTx line of a function changes its level. */
  onPin(listener: (fn: HardwareFunction, level: boolean) => void): void {
    this.#pins.push(listener)
  }

  /** Forgets the ways: bridges were programmed, or an IOMMU took over. */
  rewired(): void {
    this.#wiring.epoch += 1
  }

  /**
   * What the function itself uses to reach memory, for trying what it could do; undefined when it is on
   * no bus.
   */
  portOf(fn: HardwareFunction): BusMaster | undefined {
    return fn.config.present ? this.#ports.get(fn) : undefined
  }

  #connect(fn: HardwareFunction, inSlot: HardwareFunction, routingOffset: () => number): void {
    const port = new Port(this.#wiring, fn, inSlot, routingOffset)
    this.#ports.set(fn, port)
    fn.connect(port)
  }

  #plugged(fn: HardwareFunction): void {
    this.#wiring.addresses.changed(fn)
    this.#connect(fn, fn, () => 0)
    if (this.#watched.has(fn)) return
    this.#watched.add(fn)
    const { config } = fn
    const decodes = (): void => this.#wiring.addresses.changed(fn)
    config.onWrite(0x04, 2, decodes)
    config.onWrite(0x10, 0x18, decodes)
    const power = config.capability(0x01)
    if (power !== 0) config.onWrite(power + 4, 2, decodes)
    if ((config.read(0x0e, 1) & 0x7f) !== 0) config.onWrite(0x18, 4, () => this.rewired())
    config.onReset(() => {
      this.rewired()
      decodes()
    })
    if (config.extendedCapability(SRIOV) !== 0) this.#watchVirtual(fn)
  }

  /** Virtual functions are there while VF Enable is set. */
  #watchVirtual(fn: HardwareFunction): void {
    const { config } = fn
    const sriov = config.extendedCapability(SRIOV)
    const update = (): void => {
      this.#wiring.addresses.changed(fn)
      const enabled = config.present && (config.read(sriov + 8, 2) & VF_ENABLE) !== 0
      this.#setVirtual(fn, enabled ? config.read(sriov + 0x10, 2) : 0)
    }
    config.onWrite(sriov + 0x08, 0x34, update)
    config.onReset(update)
    update()
  }

  #setVirtual(physical: HardwareFunction, count: number): void {
    const before = this.#virtual.get(physical) ?? 0
    if (count === before) return
    this.#virtual.set(physical, count)
    const { config } = physical
    const sriov = config.extendedCapability(SRIOV)
    for (let n = count; n < before; n++) physical.virtualFunction?.(n).connect(null)
    for (let n = before; n < count; n++) {
      const virtual = physical.virtualFunction?.(n)
      const offset = (): number => config.read(sriov + 0x14, 2) + n * config.read(sriov + 0x16, 2)
      if (virtual !== undefined) this.#connect(virtual, physical, offset)
    }
  }
}
