/**
 * Capabilities of configuration space, ready to be put together by buildConfig (config-build.ts): each
 * function here gives the bytes of one, its id in front and its pointer to the next still 0.
 *
 *     buildConfig({ vendor: 0x8086, device: 0x10d3, ...,
 *       capabilities: [powerManagement(), msi({ vectors: 1 }), pciExpress({ type: 0, flr: true })],
 *       extended: [acs(0x5f), sriov({ total: 8, offset: 1, stride: 1, vfDevice: 0x10ca, bars: [] })] })
 */
import type { Bar } from './function.ts'

/** Bytes of one capability; extended ones have 4 bytes of head instead of 2. */
export interface Capability {
  readonly id: number
  readonly bytes: Uint8Array
}

/** @param noSoftReset keeps its state when it returns from D3hot; pme: able to signal from D0-D3hot */
export function powerManagement(
  options: { noSoftReset?: boolean; pme?: boolean } = {},
): Capability {
  return capability(0x01, 8, (view) => {
    view.setUint16(2, 0x0003 | (options.pme === true ? 0x7800 : 0), true)
    view.setUint16(4, options.noSoftReset === true ? 0x0008 : 0, true)
  })
}

/** @param vectors 1, 2, 4 ... 32 */
export function msi(options: { vectors: number; maskable?: boolean }): Capability {
  const maskable = options.maskable ?? false
  return capability(0x05, maskable ? 24 : 16, (view) => {
    const log = Math.log2(options.vectors)
    view.setUint16(2, 0x0080 | (log << 1) | (maskable ? 0x100 : 0), true)
  })
}

export interface MsixOptions {
  /** 1-2048 */
  readonly vectors: number
  /** BAR that holds the table, at `tableOffset`, and the pending bits, at `pendingOffset`. */
  readonly bar: number
  readonly tableOffset?: number
  readonly pendingOffset?: number
}

export function msix({ vectors, bar, tableOffset = 0, pendingOffset }: MsixOptions): Capability {
  return capability(0x11, 12, (view) => {
    view.setUint16(2, vectors - 1, true)
    view.setUint32(4, tableOffset | bar, true)
    view.setUint32(8, (pendingOffset ?? tableOffset + 0x800) | bar, true)
  })
}

export interface ExpressOptions {
  /** Device and port type: PCIE_TYPE of pci/config-facts.ts. */
  readonly type: number
  readonly flr?: boolean
  /** Ports: a slot is there, and it is hot-plug capable. */
  readonly slot?: boolean
  readonly hotPlug?: boolean
  /** Ports that forward to more than 8 functions (Device Capabilities 2 bit 5). */
  readonly ariForwarding?: boolean
}

export function pciExpress(options: ExpressOptions): Capability {
  return capability(0x10, 60, (view) => {
    const slot = options.slot === true || options.hotPlug === true
    view.setUint16(2, 2 | (options.type << 4) | (slot ? 0x100 : 0), true)
    // Role-based error reporting, as all since version 1.1.
    view.setUint32(4, 0x8000 | (options.flr === true ? 1 << 28 : 0), true)
    // Relaxed ordering, no snoop, read requests of 512 bytes.
    view.setUint16(8, 0x2810, true)
    // 2.5 GT/s and one lane, both able and negotiated.
    view.setUint32(0x0c, 0x0011, true)
    view.setUint16(0x12, 0x0011, true)
    if (slot) view.setUint32(0x14, options.hotPlug === true ? 0x60 : 0, true)
    if (slot) view.setUint16(0x1a, 0x0040, true)
    view.setUint32(0x24, options.ariForwarding === true ? 0x20 : 0, true)
  })
}

/** Function level reset for conventional functions. */
export function advancedFeatures(): Capability {
  return capability(0x13, 6, (view) => {
    view.setUint8(2, 6)
    view.setUint8(3, 0x03)
  })
}

/** Subsystem ids of a bridge. */
export function subsystemIds(vendor: number, device: number): Capability {
  return capability(0x0d, 8, (view) => {
    view.setUint16(4, vendor, true)
    view.setUint16(6, device, true)
  })
}

export function advancedErrors(): Capability {
  return extended(0x01, 2, 0x48, (view) => {
    view.setUint32(0x0c, 0x00462030, true)
  })
}

/** @param bits what it implements: 0x01 SV, 0x02 TB, 0x04 RR, 0x08 CR, 0x10 UF, 0x20 EC, 0x40 DT */
export function acs(bits: number): Capability {
  return extended(0x0d, 1, 8, (view) => view.setUint16(4, bits, true))
}

/** Alternative routing ids; `next` is the next higher function number, 0 = none. */
export function ari(next = 0): Capability {
  return extended(0x0e, 1, 8, (view) => view.setUint8(5, next))
}

export interface SriovOptions {
  readonly total: number
  /** Routing id of the first virtual function, relative to the physical one. */
  readonly offset: number
  readonly stride: number
  readonly vfDevice: number
  readonly bars: readonly Bar[]
}

export function sriov({ total, offset, stride, vfDevice, bars }: SriovOptions): Capability {
  return extended(0x10, 1, 64, (view) => {
    view.setUint16(0x0c, total, true)
    view.setUint16(0x0e, total, true)
    view.setUint16(0x14, offset, true)
    view.setUint16(0x16, stride, true)
    view.setUint16(0x1a, vfDevice, true)
    // Pages of 4 KiB to 4 MiB supported, 4 KiB in use.
    view.setUint32(0x1c, 0x553, true)
    view.setUint32(0x20, 0x001, true)
    for (const bar of bars) view.setUint32(0x24 + 4 * bar.index, barFlags(bar), true)
  })
}

/** The read-only low bits of a base address register. */
export function barFlags(bar: Bar): number {
  if (bar.kind === 'io') return 1
  return (bar.kind === 'mem64' ? 4 : 0) | (bar.prefetchable ? 8 : 0)
}

function capability(id: number, size: number, fill: (view: DataView) => void): Capability {
  const bytes = new Uint8Array(size)
  bytes[0] = id
  fill(new DataView(bytes.buffer))
  return { id, bytes }
}

function extended(
  id: number,
  version: number,
  size: number,
  fill: (view: DataView) => void,
): Capability {
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, id | (version << 16), true)
  fill(view)
  return { id, bytes }
}
