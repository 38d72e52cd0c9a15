/**
 * Power-on configuration space from a readable description: the header, then capabilities one after
 * the other, linked. Layout: PCI Local Bus Specification 3.0 chapter 6.1, PCI Express 7.5.
 */
import { assert } from '../../base/assert.ts'
import { barFlags, type Capability } from './capabilities.ts'
import type { Bar } from './function.ts'

export interface ConfigDescription {
  readonly vendor: number
  readonly device: number
  /** 24 bits: 0x020000. */
  readonly classCode: number
  readonly revision?: number
  /** 0 endpoint (default), 1 bridge. */
  readonly headerType?: 0 | 1
  readonly multifunction?: boolean
  readonly subsystem?: { readonly vendor: number; readonly device: number }
  readonly bars?: readonly Bar[]
  /** 1-4 = INTA-INTD, 0 = none. */
  readonly interruptPin?: number
  /** Bridges: bus numbers as firmware leaves them; absent = 0, not configured. */
  readonly buses?: {
    readonly primary: number
    readonly secondary: number
    readonly subordinate: number
  }
  readonly capabilities?: readonly Capability[]
  /** Any make the space 4096 bytes; so does a PCI Express capability. */
  readonly extended?: readonly Capability[]
}

const EXPRESS = 0x10
const FIRST_CAPABILITY = 0x40
const FIRST_EXTENDED = 0x100
const ROM_INDEX = 6

/** @returns 256 or 4096 bytes */
export function buildConfig(description: ConfigDescription): Uint8Array {
  const { capabilities = [], extended = [] } = description
  const express = extended.length > 0 || capabilities.some(({ id }) => id === EXPRESS)
  const bytes = new Uint8Array(express ? 4096 : 256)
  const view = new DataView(bytes.buffer)
  writeHeader(view, description)
  let offset = FIRST_CAPABILITY
  let pointer = 0x34
  for (const { bytes: own } of capabilities) {
    assert(offset + own.length <= FIRST_EXTENDED, 'capabilities do not fit in 256 bytes')
    bytes.set(own, offset)
    bytes[pointer] = offset
    pointer = offset + 1
    offset += (own.length + 3) & ~3
  }
  if (capabilities.length > 0) view.setUint16(0x06, 0x10, true)
  placeExtended(view, extended)
  return bytes
}

function placeExtended(view: DataView, extended: readonly Capability[]): void {
  let offset = FIRST_EXTENDED
  let before = 0
  for (const { bytes } of extended) {
    assert(offset + bytes.length <= view.byteLength, 'extended capabilities do not fit')
    new Uint8Array(view.buffer).set(bytes, offset)
    if (before !== 0) {
      const head = view.getUint32(before, true)
      view.setUint32(before, ((head & 0xfffff) | (offset << 20)) >>> 0, true)
    }
    before = offset
    offset += (bytes.length + 3) & ~3
  }
}

function writeHeader(view: DataView, description: ConfigDescription): void {
  const { headerType = 0, subsystem, buses } = description
  view.setUint16(0x00, description.vendor, true)
  view.setUint16(0x02, description.device, true)
  view.setUint32(0x08, ((description.classCode << 8) | (description.revision ?? 0)) >>> 0, true)
  view.setUint8(0x0e, headerType | (description.multifunction === true ? 0x80 : 0))
  view.setUint8(0x3d, description.interruptPin ?? 0)
  for (const bar of description.bars ?? []) {
    if (bar.index !== ROM_INDEX) view.setUint32(0x10 + 4 * bar.index, barFlags(bar), true)
  }
  if (headerType === 0) {
    view.setUint16(0x2c, subsystem?.vendor ?? 0, true)
    view.setUint16(0x2e, subsystem?.device ?? 0, true)
    return
  }
  // 16-bit I/O window, 64-bit prefetchable window.
  view.setUint8(0x24, 0x01)
  view.setUint8(0x26, 0x01)
  view.setUint8(0x18, buses?.primary ?? 0)
  view.setUint8(0x19, buses?.secondary ?? 0)
  view.setUint8(0x1a, buses?.subordinate ?? 0)
}
