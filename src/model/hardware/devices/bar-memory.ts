/**
 * BARs that behave as plain memory, for functions whose real behaviour nobody modelled. A captured
 * graphics card has gigabytes of them, so pages appear when they are written, up to a bound.
 */
import type { Bar } from '../function.ts'

const PAGE = 4096
/** BARs up to this size can be shared as one array (mmap). */
const SHARED_BYTES = 1 << 20
/** Pages that one function may fill beyond that; later writes to new pages are lost. */
const MAX_PAGES = 4096

export class BarMemory {
  readonly #bars: ReadonlyMap<number, Bar>
  readonly #shared = new Map<number, Uint8Array>()
  /** Pages of large BARs by "bar:page". */
  readonly #pages = new Map<string, Uint8Array>()

  constructor(bars: readonly Bar[]) {
    this.#bars = new Map(bars.map((bar) => [bar.index, bar]))
  }

  /** All ones outside a BAR, zero where nothing was written. */
  read(index: number, offset: number, size: 1 | 2 | 4): number {
    const bytes = this.#find(index, offset, size)
    if (bytes === null) return 2 ** (8 * size) - 1
    let value = 0
    for (let n = size - 1; n >= 0; n--) value = value * 256 + this.#byte(bytes, offset + n)
    return value
  }

  write(index: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const bar = this.#bars.get(index)
    // An expansion ROM ignores writes.
    if (bar === undefined || bar.kind === 'rom' || offset + size > bar.size) return
    const bytes = this.#shareable(bar) ? this.shared(index) : this.#page(index, offset)
    if (bytes === null) return
    for (let n = 0; n < size; n++) bytes[(offset + n) % bytes.length] = value >>> (8 * n)
  }

  /** The bytes behind a BAR, shared; null when it is too large or no memory. */
  shared(index: number): Uint8Array | null {
    const bar = this.#bars.get(index)
    if (bar === undefined || !this.#shareable(bar)) return null
    let bytes = this.#shared.get(index)
    if (bytes === undefined) {
      bytes = new Uint8Array(bar.size)
      this.#shared.set(index, bytes)
    }
    return bytes
  }

  /** Zeroed in place: others may hold the shared arrays. */
  reset(): void {
    for (const bytes of this.#shared.values()) bytes.fill(0)
    this.#pages.clear()
  }

  #shareable(bar: Bar): boolean {
    return bar.kind.startsWith('mem') && bar.size <= SHARED_BYTES
  }

  #find(index: number, offset: number, size: number): Uint8Array | 'zeros' | null {
    const bar = this.#bars.get(index)
    if (bar === undefined || offset + size > bar.size) return null
    return this.#shared.get(index) ?? this.#pages.get(key(index, offset)) ?? 'zeros'
  }

  #byte(bytes: Uint8Array | 'zeros', offset: number): number {
    return bytes === 'zeros' ? 0 : (bytes[offset % bytes.length] ?? 0)
  }

  #page(index: number, offset: number): Uint8Array | null {
    const name = key(index, offset)
    let page = this.#pages.get(name)
    if (page === undefined) {
      if (this.#pages.size >= MAX_PAGES) return null
      page = new Uint8Array(PAGE)
      this.#pages.set(name, page)
    }
    return page
  }
}

function key(index: number, offset: number): string {
  return `${String(index)}:${String(Math.floor(offset / PAGE))}`
}
