/**
 * Which bits of configuration space software may change: one entry for each dword that has any.
 *
 * Derived from the power-on bytes: the header type and the capabilities present. A captured device is
 * treated alike; what its capabilities do not say is read-only. Bits that a specification leaves
 * optional are writable where QEMU 7.2 makes them so (hw/pci/pci.c, pci_init_wmask).
 */
import { CAPABILITY, EXTENDED_CAPABILITY, PCIE_TYPE } from '../../pci/config-facts.ts'
import { capabilityList, extendedCapabilityList } from './capability-list.ts'
import { extendedMasks } from './extended-masks.ts'
import type { Bar } from './function.ts'

export interface RegisterMask {
  /** Bits that take the written value. */
  writable: number
  /** Bits that a written 1 clears (RW1C). */
  clearable: number
  /** Bits of these that a reset keeps (RWS, RW1CS). */
  sticky: number
  /** Value of the changing bits after a reset. */
  reset: number
  /** Bits whose being written as 1 starts a function level reset; they read as 0. */
  resetTrigger: number
}

/** Collects masks; `state` bits go to 0 at a reset, `setting` bits to what they were at power-on. */
export class MaskTable {
  readonly masks: Map<number, RegisterMask> = new Map()
  readonly view: DataView

  constructor(view: DataView) {
    this.view = view
  }

  /** Bits that software sets while it uses the function: enables, addresses, bus numbers. */
  state(offset: number, bits: number): void {
    this.#entry(offset).writable |= bits << (8 * (offset & 3))
  }

  /** Bits that have a default of their own. */
  setting(offset: number, bits: number): void {
    const shifted = bits << (8 * (offset & 3))
    const entry = this.#entry(offset)
    entry.writable |= shifted
    entry.reset |= this.#dword(offset) & shifted
  }

  /** Settings that survive resets. */
  sticky(offset: number, bits: number): void {
    const entry = this.#entry(offset)
    entry.writable |= bits << (8 * (offset & 3))
    entry.sticky |= bits << (8 * (offset & 3))
  }

  clearable(offset: number, bits: number): void {
    this.#entry(offset).clearable |= bits << (8 * (offset & 3))
  }

  stickyClearable(offset: number, bits: number): void {
    this.clearable(offset, bits)
    this.#entry(offset).sticky |= bits << (8 * (offset & 3))
  }

  resetTrigger(offset: number, bits: number): void {
    this.#entry(offset).resetTrigger |= bits << (8 * (offset & 3))
  }

  u8(offset: number): number {
    return offset < this.view.byteLength ? this.view.getUint8(offset) : 0
  }

  u16(offset: number): number {
    return this.u8(offset) | (this.u8(offset + 1) << 8)
  }

  u32(offset: number): number {
    return (this.u16(offset) | (this.u16(offset + 2) << 16)) >>> 0
  }

  #dword(offset: number): number {
    return this.u32(offset & ~3)
  }

  #entry(offset: number): RegisterMask {
    const dword = offset & ~3
    let entry = this.masks.get(dword)
    if (entry === undefined) {
      entry = { writable: 0, clearable: 0, sticky: 0, reset: 0, resetTrigger: 0 }
      // A damaged list may point beyond the end: there is nothing to write there.
      if (dword + 4 <= this.view.byteLength) this.masks.set(dword, entry)
    }
    return entry
  }
}

/** Masks of a physical function or bridge. */
export function registerMasks(
  view: DataView,
  bars: readonly Bar[],
  virtualBars: readonly Bar[],
): ReadonlyMap<number, RegisterMask> {
  const table = new MaskTable(view)
  const headerType = table.u8(0x0e) & 0x7f
  table.state(0x04, COMMAND)
  table.clearable(0x06, STATUS_ERRORS)
  table.state(0x0c, 0xff)
  if (headerType === 0) endpointHeader(table)
  else if (headerType === 1) bridgeHeader(table)
  else if (headerType === 2) cardBusHeader(table)
  for (const bar of bars) barMask(table, bar, headerType)
  standardMasks(table, capabilityList(view))
  const extended = extendedCapabilityList(view)
  extendedMasks(table, extended)
  const sriov = extended.get(EXTENDED_CAPABILITY.sriov) ?? 0
  if (sriov !== 0)
    for (const bar of virtualBars) addressMask(table, sriov + 0x24 + 4 * bar.index, bar)
  return table.masks
}

/** Masks of a virtual function (SR-IOV specification 3.4). */
export function virtualFunctionMasks(view: DataView): ReadonlyMap<number, RegisterMask> {
  const table = new MaskTable(view)
  table.state(0x04, 0x0004)
  table.clearable(0x06, STATUS_ERRORS)
  standardMasks(table, capabilityList(view))
  extendedMasks(table, extendedCapabilityList(view))
  return table.masks
}

/** I/O, memory, bus master, SERR#, INTx disable. */
const COMMAND = 0x0507
const STATUS_ERRORS = 0xf900

function endpointHeader(table: MaskTable): void {
  table.state(0x3c, 0xff)
}

function bridgeHeader(table: MaskTable): void {
  // Primary, secondary, subordinate bus and secondary latency timer.
  table.state(0x18, 0xffffffff)
  table.state(0x1c, 0xf0f0)
  table.clearable(0x1e, STATUS_ERRORS)
  table.state(0x20, 0xfff0fff0)
  table.state(0x24, 0xfff0fff0)
  const wide = (table.u16(0x24) & 0xf) === 1
  if (wide) table.state(0x28, 0xffffffff)
  if (wide) table.state(0x2c, 0xffffffff)
  if ((table.u8(0x1c) & 0xf) === 1) table.state(0x30, 0xffffffff)
  table.state(0x3c, 0xff)
  table.state(0x3e, BRIDGE_CONTROL)
  table.clearable(0x3e, 0x0400)
}

/** All but the discard timer's status. */
const BRIDGE_CONTROL = 0x0bff

function cardBusHeader(table: MaskTable): void {
  table.state(0x18, 0xffffffff)
  for (const window of [0x1c, 0x20, 0x24, 0x28]) table.state(window, 0xfffff000)
  for (const window of [0x2c, 0x30, 0x34, 0x38]) table.state(window, 0xfffffffc)
  table.state(0x3c, 0xff)
  table.state(0x3e, 0x0fff)
}

const ROM_INDEX = 6

function barMask(table: MaskTable, bar: Bar, headerType: number): void {
  if (bar.index !== ROM_INDEX) {
    addressMask(table, 0x10 + 4 * bar.index, bar)
    return
  }
  const offset = headerType === 1 ? 0x38 : 0x30
  table.state(offset, (~(bar.size - 1) & 0xfffff800) | 1)
}

/** Address bits above the size; sizes reach beyond 32 bits only in the upper half of a 64-bit one. */
function addressMask(table: MaskTable, offset: number, bar: Bar): void {
  const low = bar.size > 0xffffffff ? 0 : ~(bar.size - 1)
  table.state(offset, bar.kind === 'io' ? low & 0xfffffffc : low & 0xfffffff0)
  if (bar.kind !== 'mem64') return
  const high = bar.size > 0xffffffff ? ~(bar.size / 0x1_0000_0000 - 1) : 0xffffffff
  table.state(offset + 4, high)
}

function standardMasks(table: MaskTable, list: ReadonlyMap<number, number>): void {
  const power = list.get(0x01)
  if (power !== undefined) {
    table.state(power + 4, 0x0003)
    if ((table.u16(power + 2) & 0xf800) !== 0) {
      table.sticky(power + 4, 0x0100)
      table.stickyClearable(power + 4, 0x8000)
    }
  }
  const msi = list.get(0x05)
  if (msi !== undefined) msiMasks(table, msi)
  const slotId = list.get(0x04)
  if (slotId !== undefined) table.setting(slotId + 3, 0xff)
  const express = list.get(CAPABILITY.pciExpress)
  if (express !== undefined) expressMasks(table, express)
  const msix = list.get(0x11)
  if (msix !== undefined) table.state(msix + 2, 0xc000)
  const advanced = list.get(CAPABILITY.advancedFeatures)
  if (advanced !== undefined && (table.u8(advanced + 3) & 0x02) !== 0) {
    table.resetTrigger(advanced + 4, 0x01)
  }
}

function msiMasks(table: MaskTable, offset: number): void {
  const control = table.u16(offset + 2)
  table.state(offset + 2, 0x0071)
  table.state(offset + 4, 0xfffffffc)
  const wide = (control & 0x80) !== 0
  if (wide) table.state(offset + 8, 0xffffffff)
  table.state(offset + (wide ? 12 : 8), 0xffff)
  if ((control & 0x100) === 0) return
  const vectors = 1 << ((control >> 1) & 7)
  table.state(offset + (wide ? 16 : 12), vectors === 32 ? -1 : (1 << vectors) - 1)
}

function expressMasks(table: MaskTable, offset: number): void {
  const flags = table.u16(offset + 2)
  const type = (flags >> 4) & 0xf
  const version = flags & 0xf
  const { rootPort, downstreamPort, integratedEndpoint, eventCollector } = PCIE_TYPE
  const integrated = type === integratedEndpoint || type === eventCollector
  const facesDown = type === rootPort || type === downstreamPort
  const capabilities = table.u32(offset + 4)
  table.setting(offset + 8, DEVICE_CONTROL | ((capabilities & 0x20) !== 0 ? 0x0100 : 0))
  table.clearable(offset + 0x0a, 0x000f)
  if ((capabilities & (1 << 28)) !== 0) table.resetTrigger(offset + 8, 0x8000)
  if (!integrated) table.setting(offset + 0x10, facesDown ? 0x0fd3 : 0x03cb)
  if (facesDown) table.clearable(offset + 0x12, 0xc000)
  if (facesDown && (flags & 0x100) !== 0) {
    table.setting(offset + 0x18, 0x1fff)
    table.clearable(offset + 0x1a, 0x011f)
  }
  if (type === rootPort || type === eventCollector) {
    table.setting(offset + 0x1c, 0x001f)
    table.clearable(offset + 0x20, 0x10000)
  }
  if (version < 2) return
  table.setting(offset + 0x28, 0x65ff)
  if (!integrated) table.setting(offset + 0x30, 0xffff)
}

/** Error reporting, relaxed ordering, payload size, no snoop, read request size. */
const DEVICE_CONTROL = 0x78ff
