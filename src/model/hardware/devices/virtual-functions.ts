/**
 * Virtual functions of SR-IOV as hardware: copies of the physical function without its SR-IOV
 * capability, base addresses and interrupt pin (Single Root I/O Virtualization Specification 1.1,
 * 3.4 and 3.5). They exist on the bus only while the physical function's VF Enable is set
 * (hardware/fabric.ts), and a reset of the physical function resets them.
 */
import { EXTENDED_CAPABILITY } from '../../../pci/config-facts.ts'
import { type ConfigSpace, virtualFunctionConfig } from '../config-space.ts'
import type { HardwareFunction } from '../function.ts'

const PCI_EXPRESS = 0x10
const MSIX = 0x11
const MSIX_TABLE_SIZE = 0x7ff
const FLR = 1 << 28

/** Makes the hardware of a virtual function around its registers. */
export type MakeVirtual = (config: ConfigSpace, index: number) => HardwareFunction

export class VirtualFunctions {
  readonly #physical: ConfigSpace
  readonly #make: MakeVirtual
  readonly #vectors: number | undefined
  readonly #made = new Map<number, HardwareFunction>()

  /** @param vectors of MSI-X that each has; absent = as many as the physical function */
  constructor(physical: ConfigSpace, make: MakeVirtual, vectors?: number) {
    this.#physical = physical
    this.#make = make
    this.#vectors = vectors
  }

  at(index: number): HardwareFunction {
    let fn = this.#made.get(index)
    if (fn === undefined) {
      const config = virtualFunctionConfig(virtualRegisters(this.#physical, this.#vectors))
      const made = this.#make(config, index)
      // Nobody wires a virtual function to a slot, so it hears of its own resets here.
      config.onReset((kind) => made.reset(kind))
      this.#made.set(index, made)
      fn = made
    }
    return fn
  }

  reset(): void {
    for (const fn of this.#made.values()) fn.config.reset('flr')
  }
}

function virtualRegisters(physical: ConfigSpace, vectors: number | undefined): Uint8Array {
  const bytes = physical.snapshot()
  const view = new DataView(bytes.buffer)
  view.setUint16(0x04, 0, true)
  view.setUint8(0x0e, 0)
  view.setUint32(0x30, 0, true)
  view.setUint16(0x3c, 0, true)
  const express = physical.capability(PCI_EXPRESS)
  // Every virtual function can reset itself.
  if (express !== 0) view.setUint32(express + 4, view.getUint32(express + 4, true) | FLR, true)
  const msix = physical.capability(MSIX)
  if (msix !== 0 && vectors !== undefined) {
    const control = view.getUint16(msix + 2, true)
    view.setUint16(msix + 2, (control & ~MSIX_TABLE_SIZE) | (vectors - 1), true)
  }
  unlink(view, physical.extendedCapability(EXTENDED_CAPABILITY.sriov))
  return bytes
}

/** Takes a capability out of the extended list. */
function unlink(view: DataView, offset: number): void {
  const next = view.getUint32(offset, true) >>> 20
  for (let at = 0x100; at !== 0; ) {
    const head = view.getUint32(at, true)
    const following = head >>> 20
    if (following === offset) view.setUint32(at, ((head & 0xfffff) | (next << 20)) >>> 0, true)
    at = following > at ? following : 0
  }
  // The first place of the list stays, as a capability of no meaning.
  view.setUint32(offset, offset === 0x100 ? ((next << 20) | 0x10000) >>> 0 : 0, true)
  for (let at = offset + 4; at < offset + 0x40; at += 4) view.setUint32(at, 0, true)
}
