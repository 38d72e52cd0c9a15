/**
 * Who answers at which memory address: the base address registers of all functions that decode memory.
 *
 * A table sorted by address is kept beside the registers, since every DMA asks "is there a device at
 * this address", and the answer is nearly always no. Functions whose registers were written are looked
 * at again before the next question.
 */
import { isPoweredDown } from './config-space.ts'
import type { Bar, HardwareFunction } from './function.ts'

/** An address inside a base address register. */
export interface BarHit {
  readonly fn: HardwareFunction
  /** The function in a slot: `fn` itself, or the physical function of a virtual one. */
  readonly inSlot: HardwareFunction
  readonly bar: number
  readonly offset: number
}

interface Range {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  readonly fn: HardwareFunction
  readonly bar: number
  /** Size of one virtual function's share; 0 for the function's own registers. */
  readonly share: number
}

const PAGE = 4096
/** Addresses above are not exact numbers any more; no machine puts devices there. */
const ADDRESS_LIMIT = 2 ** 53
const MEMORY_ENABLE = 0x2
const SRIOV = 0x10
/** SR-IOV control: VF enable and VF memory space enable. */
const VF_DECODES = 0x9
const VF_BARS = 0x24

export class AddressMap {
  readonly #ranges = new Map<HardwareFunction, readonly Range[]>()
  readonly #dirty = new Set<HardwareFunction>()
  /** By start address. */
  readonly #sorted: Range[] = []

  /** The function's registers may have changed, or it was plugged or taken out. */
  changed(fn: HardwareFunction): void {
    this.#dirty.add(fn)
  }

  /** Who decodes the address, whatever bridges are on the way; null when nobody does. */
  find(page: number, offset: number): BarHit | null {
    if (this.#dirty.size > 0) this.#refresh()
    if (this.#sorted.length === 0 || page >= ADDRESS_LIMIT / PAGE) return null
    const address = page * PAGE + offset
    const range = this.#sorted[this.#position(address + 1) - 1]
    if (range === undefined || address >= range.end) return null
    return hit(range, address)
  }

  #refresh(): void {
    for (const fn of this.#dirty) {
      const before = this.#ranges.get(fn) ?? []
      const now = decodedRanges(fn)
      if (sameRanges(before, now)) continue
      for (const range of before) this.#sorted.splice(this.#sorted.indexOf(range), 1)
      for (const range of now) this.#sorted.splice(this.#position(range.start), 0, range)
      if (now.length === 0) this.#ranges.delete(fn)
      else this.#ranges.set(fn, now)
    }
    this.#dirty.clear()
  }

  /** How many ranges start below the address. */
  #position(address: number): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sorted[middle]?.start ?? 0) < address) low = middle + 1
      else high = middle
    }
    return low
  }
}

function hit(range: Range, address: number): BarHit | null {
  const { fn, bar, share } = range
  const offset = address - range.start
  if (share === 0) return { fn, inSlot: fn, bar, offset }
  const index = Math.floor(offset / share)
  const virtual = fn.virtualFunction?.(index)
  if (virtual === undefined) return null
  return { fn: virtual, inSlot: fn, bar, offset: offset - index * share }
}

function sameRanges(a: readonly Range[], b: readonly Range[]): boolean {
  return (
    a.length === b.length &&
    a.every((range, n) => range.start === b[n]?.start && range.end === b[n].end)
  )
}

function decodedRanges(fn: HardwareFunction): readonly Range[] {
  const { config } = fn
  if (!config.present || isPoweredDown(config)) return []
  const ranges: Range[] = []
  if ((config.read(0x04, 2) & MEMORY_ENABLE) !== 0) {
    for (const bar of fn.bars) {
      const start = barAddress(config.read(0x10 + 4 * bar.index, 4), bar, () =>
        config.read(0x14 + 4 * bar.index, 4),
      )
      if (start !== 0) ranges.push({ start, end: start + bar.size, fn, bar: bar.index, share: 0 })
    }
  }
  const sriov = config.extendedCapability(SRIOV)
  if (sriov === 0 || (config.read(sriov + 8, 2) & VF_DECODES) !== VF_DECODES) return ranges
  const count = config.read(sriov + 0x10, 2)
  for (const bar of fn.virtualFunction?.(0).bars ?? []) {
    const offset = sriov + VF_BARS + 4 * bar.index
    const start = barAddress(config.read(offset, 4), bar, () => config.read(offset + 4, 4))
    if (start === 0) continue
    ranges.push({ start, end: start + count * bar.size, fn, bar: bar.index, share: bar.size })
  }
  return ranges
}

/** 0 = not assigned, or not decoding memory (I/O, ROM). */
function barAddress(low: number, bar: Bar, high: () => number): number {
  if (bar.kind === 'io' || bar.kind === 'rom') return 0
  const address = (low & 0xfffffff0) >>> 0
  const whole = bar.kind === 'mem64' ? address + high() * 0x1_0000_0000 : address
  return whole + bar.size <= ADDRESS_LIMIT ? whole : 0
}
