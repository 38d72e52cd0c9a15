/**
 * The MSI-X table and pending bits, which live in a BAR of the function, not in configuration space
 * (PCI Local Bus Specification 3.0, 6.8.2). An entry is address, upper address, data and control;
 * bit 0 of control masks the vector and is set at power-on.
 *
 * A user who may write this table chooses which message his device sends: only interrupt remapping
 * keeps him from forging other devices' interrupts.
 */
import type { ConfigSpace } from '../config-space.ts'

const MSIX = 0x11
const ENTRY = 16

interface Window {
  readonly bar: number
  readonly offset: number
  readonly length: number
}

export class MsixTable {
  readonly vectors: number
  /** BARs that hold the table or the pending bits. */
  readonly bars: ReadonlySet<number>
  readonly #table: Window
  readonly #pending: Window
  /** Made when first written or asked: most functions of a large host never get there. */
  #bytes: Uint8Array | null = null
  readonly #pendingBits = new Set<number>()

  constructor(config: ConfigSpace, capability: number) {
    this.vectors = (config.read(capability + 2, 2) & 0x7ff) + 1
    this.#table = window(config.read(capability + 4, 4), this.vectors * ENTRY)
    this.#pending = window(config.read(capability + 8, 4), Math.ceil(this.vectors / 64) * 8)
    this.bars = new Set([this.#table.bar, this.#pending.bar])
  }

  /** Whether the access is to the table or the pending bits. */
  covers(bar: number, offset: number): boolean {
    return inside(this.#table, bar, offset) || inside(this.#pending, bar, offset)
  }

  read(bar: number, offset: number, size: 1 | 2 | 4): number {
    let value = 0
    for (let n = size - 1; n >= 0; n--) value = value * 256 + this.#byte(bar, offset + n)
    return value
  }

  /** @returns the vectors whose pending message must go out now, because they were unmasked */
  write(bar: number, offset: number, size: 1 | 2 | 4, value: number): readonly number[] {
    if (!inside(this.#table, bar, offset)) return []
    const bytes = this.#allocated()
    const at = offset - this.#table.offset
    for (let n = 0; n < size; n++) bytes[at + n] = value >>> (8 * n)
    return this.takePending(Math.floor(at / ENTRY), Math.floor(at / ENTRY) + 1)
  }

  isMasked(vector: number): boolean {
    return this.#bytes === null || ((this.#bytes[vector * ENTRY + 12] ?? 1) & 1) !== 0
  }

  setPending(vector: number): void {
    this.#pendingBits.add(vector)
  }

  /** Vectors of the range that wait and are not masked; they wait no longer. */
  takePending(from: number, to: number): readonly number[] {
    const due = [...this.#pendingBits].filter((v) => v >= from && v < to && !this.isMasked(v))
    for (const vector of due) this.#pendingBits.delete(vector)
    return due
  }

  reset(): void {
    this.#bytes = null
    this.#pendingBits.clear()
  }

  #byte(bar: number, offset: number): number {
    if (inside(this.#table, bar, offset)) {
      const at = offset - this.#table.offset
      return this.#bytes === null ? Number(at % ENTRY === 12) : (this.#bytes[at] ?? 0)
    }
    let byte = 0
    const first = (offset - this.#pending.offset) * 8
    for (let bit = 0; bit < 8; bit++) {
      if (this.#pendingBits.has(first + bit)) byte |= 1 << bit
    }
    return byte
  }

  #allocated(): Uint8Array {
    if (this.#bytes === null) {
      this.#bytes = new Uint8Array(this.vectors * ENTRY)
      for (let v = 0; v < this.vectors; v++) this.#bytes[v * ENTRY + 12] = 1
    }
    return this.#bytes
  }
}

/** The function's table, if it has the capability. */
export function msixTable(config: ConfigSpace): MsixTable | null {
  const capability = config.capability(MSIX)
  return capability === 0 ? null : new MsixTable(config, capability)
}

function window(register: number, length: number): Window {
  return { bar: register & 7, offset: (register & ~7) >>> 0, length }
}

function inside(window: Window, bar: number, offset: number): boolean {
  return bar === window.bar && offset >= window.offset && offset < window.offset + window.length
}
