/**
 * The `resource` file: start, end and flags of every address range of a function (resource_show). Lines
 * 0-5 are the BARs, 6 the ROM, 7-12 those of the virtual functions, for bridges 13-16 the windows.
 */
import type { Bar } from '../hardware/function.ts'
import {
  type BridgeWindow,
  barOffset,
  readAddress,
  readIoWindow,
  readMemoryWindow,
  readPrefetchWindow,
} from './base-address.ts'
import type { PciDevice } from './pci-device.ts'

/** include/linux/ioport.h */
const IO = 0x100
const MEMORY = 0x200
const PREFETCH = 0x2000
const READ_ONLY = 0x4000
const SIZE_ALIGNED = 0x40000
const MEMORY_64 = 0x100000
const UNSET = 0x20000000

const ROM = 6
const VIRTUAL = 7
const WINDOWS = 13
const BRIDGE_LINES = 17
const VF_BARS = 0x24

interface Range extends BridgeWindow {
  readonly flags: number
}

export function resourceLines(device: PciDevice): string {
  const ranges = new Map<number, Range>()
  const { bars, config } = device.hardware
  if (device.isVirtual) virtualRanges(device, ranges)
  else {
    for (const bar of bars) {
      if (device.forgottenBars.has(barOffset(device, bar))) continue
      const start = readAddress(config, barOffset(device, bar), bar)
      ranges.set(bar.index, barRange(bar, start, 1))
    }
  }
  if (device.sriov !== null) {
    const { capability, totalVfs } = device.sriov
    for (const bar of device.hardware.virtualFunction?.(0).bars ?? []) {
      const offset = capability + VF_BARS + 4 * bar.index
      if (device.forgottenBars.has(offset)) continue
      const start = readAddress(config, offset, bar)
      ranges.set(VIRTUAL + bar.index, barRange(bar, start, totalVfs))
    }
  }
  if (device.headerType === 1) windowRanges(device, ranges)
  const count = device.subordinate === null ? WINDOWS : BRIDGE_LINES
  return Array.from({ length: count }, (_, n) => line(ranges.get(n))).join('')
}

/** Where nothing was assigned the range keeps its size, at 0, and says so. */
function barRange(bar: Bar, start: number, count: number): Range {
  const unset = start === 0 ? UNSET : 0
  return { start, end: start + bar.size * count, flags: barFlags(bar) | unset }
}

function barFlags({ kind, prefetchable, index }: Bar): number {
  if (kind === 'io') return IO | SIZE_ALIGNED | 0x1
  if (kind === 'rom' || index === ROM) return MEMORY | PREFETCH | READ_ONLY | SIZE_ALIGNED
  const wide = kind === 'mem64' ? MEMORY_64 | 0x4 : 0
  return MEMORY | SIZE_ALIGNED | wide | (prefetchable ? PREFETCH | 0x8 : 0)
}

/** A virtual function's share of the ranges of its physical function. */
function virtualRanges(device: PciDevice, ranges: Map<number, Range>): void {
  const { physicalFunction: physical } = device
  if (physical === null || physical.sriov === null) return
  const index = physical.virtualFunctions.indexOf(device)
  for (const bar of device.hardware.bars) {
    const offset = physical.sriov.capability + VF_BARS + 4 * bar.index
    const base = readAddress(physical.hardware.config, offset, bar)
    if (base === 0 || index < 0) continue
    const start = base + index * bar.size
    ranges.set(bar.index, { start, end: start + bar.size, flags: barFlags(bar) })
  }
}

function windowRanges({ hardware: { config } }: PciDevice, ranges: Map<number, Range>): void {
  const io = readIoWindow(config)
  if (io !== null) ranges.set(WINDOWS, { ...io, flags: IO | (config.read(0x1c, 1) & 0xf) })
  const memory = readMemoryWindow(config)
  if (memory !== null) ranges.set(WINDOWS + 1, { ...memory, flags: MEMORY })
  const prefetch = readPrefetchWindow(config)
  if (prefetch === null) return
  const type = config.read(0x24, 2) & 0xf
  const flags = MEMORY | PREFETCH | type | (type === 1 ? MEMORY_64 : 0)
  ranges.set(WINDOWS + 2, { ...prefetch, flags })
}

function line(range: Range | undefined): string {
  if (range === undefined) return `${word(0)} ${word(0)} ${word(0)}\n`
  return `${word(range.start)} ${word(range.end - 1)} ${word(range.flags)}\n`
}

function word(value: number): string {
  return `0x${value.toString(16).padStart(16, '0')}`
}
