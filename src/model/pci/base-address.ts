/** Base address registers and bridge windows as addresses: reading and writing the registers. */
import type { ConfigSpace } from '../hardware/config-space.ts'
import type { Bar } from '../hardware/function.ts'
import type { PciDevice } from './pci-device.ts'

const ROM_INDEX = 6

/** Offset of the register of a BAR. */
export function barOffset(device: PciDevice, bar: Bar): number {
  if (bar.index !== ROM_INDEX) return 0x10 + 4 * bar.index
  return device.headerType === 1 ? 0x38 : 0x30
}

/** The address a BAR is set to; 0 = not assigned. */
export function readAddress(config: ConfigSpace, offset: number, bar: Bar): number {
  const low = config.read(offset, 4)
  if (bar.kind === 'io') return low & 0xfffffffc
  if (bar.kind === 'rom') return (low & 0xfffff800) >>> 0
  const address = (low & 0xfffffff0) >>> 0
  return bar.kind === 'mem64' ? address + config.read(offset + 4, 4) * 0x1_0000_0000 : address
}

export function writeAddress(config: ConfigSpace, offset: number, bar: Bar, address: number): void {
  config.write(offset, 4, address % 0x1_0000_0000)
  if (bar.kind === 'mem64') config.write(offset + 4, 4, Math.floor(address / 0x1_0000_0000))
}

/** What a bridge forwards downwards; end exclusive; null = the window is closed. */
export interface BridgeWindow {
  readonly start: number
  readonly end: number
}

const MEGABYTE = 0x100000

export function readIoWindow(config: ConfigSpace): BridgeWindow | null {
  const base = (config.read(0x1c, 1) & 0xf0) << 8
  const limit = ((config.read(0x1d, 1) & 0xf0) << 8) + 0xfff
  return limit > base && (base !== 0 || limit !== 0xfff) ? { start: base, end: limit + 1 } : null
}

export function readMemoryWindow(config: ConfigSpace): BridgeWindow | null {
  return windowOf(config.read(0x20, 2), config.read(0x22, 2), 0, 0)
}

export function readPrefetchWindow(config: ConfigSpace): BridgeWindow | null {
  const wide = (config.read(0x24, 2) & 0xf) === 1
  return windowOf(
    config.read(0x24, 2),
    config.read(0x26, 2),
    wide ? config.read(0x28, 4) : 0,
    wide ? config.read(0x2c, 4) : 0,
  )
}

/** Base and limit both 0 is what a bridge shows after power-on: not set up. */
function windowOf(
  base: number,
  limit: number,
  baseHigh: number,
  limitHigh: number,
): BridgeWindow | null {
  const start = (base & 0xfff0) * 0x10000 + baseHigh * 0x1_0000_0000
  const end = (limit & 0xfff0) * 0x10000 + limitHigh * 0x1_0000_0000 + MEGABYTE
  return end > start && start !== 0 ? { start, end } : null
}

/** Base above limit: closed. */
const CLOSED = { start: 0xfff0_0000, end: 0x10_0000 } as const

export function writeMemoryWindow(config: ConfigSpace, window: BridgeWindow | null): void {
  const { start, end } = window ?? CLOSED
  config.write(0x20, 2, start / 0x10000)
  config.write(0x22, 2, (end - MEGABYTE) / 0x10000)
}

export function writePrefetchWindow(config: ConfigSpace, window: BridgeWindow | null): void {
  const { start, end } = window ?? CLOSED
  const last = end - MEGABYTE
  config.write(0x24, 2, (start % 0x1_0000_0000) / 0x10000)
  config.write(0x26, 2, (last % 0x1_0000_0000) / 0x10000)
  config.write(0x28, 4, Math.floor(start / 0x1_0000_0000))
  config.write(0x2c, 4, Math.floor(last / 0x1_0000_0000))
}
