/** Free and taken addresses of one window: what a host bridge or a bridge forwards downwards. */

interface Interval {
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export class AddressWindow {
  readonly start: number
  /** Exclusive. */
  readonly end: number
  /** Sorted, not overlapping. */
  readonly #taken: Interval[] = []
  /** What no gap held: such and larger is not looked for again until something is given back. */
  #refused = { size: Infinity, alignment: Infinity }

  constructor(start: number, end: number) {
    this.start = start
    this.end = end
  }

  /**
   * Takes `size` bytes aligned to `alignment` (a power of two): behind everything taken if there is room,
   * else the first gap that fits. @returns the address, or null when the window is full
   */
  allocate(size: number, alignment: number): number | null {
    const behind = alignUp(Math.max(this.#taken.at(-1)?.end ?? 0, this.start), alignment)
    if (behind + size <= this.end) {
      this.#taken.push({ start: behind, end: behind + size })
      return behind
    }
    if (size >= this.#refused.size && alignment >= this.#refused.alignment) return null
    let from = this.start
    for (const [n, { start, end }] of this.#taken.entries()) {
      const at = alignUp(from, alignment)
      if (at + size <= start) {
        this.#taken.splice(n, 0, { start: at, end: at + size })
        return at
      }
      from = end
    }
    this.#refused = { size, alignment }
    return null
  }

  reaches(address: number): boolean {
    return address >= this.start && address < this.end
  }

  /** Takes these addresses. @returns false when they are outside the window or not free */
  claim(start: number, size: number): boolean {
    const end = start + size
    if (start < this.start || end > this.end) return false
    const n = this.#position(start)
    const before = this.#taken[n - 1]
    const after = this.#taken[n]
    if (before !== undefined && before.end > start) return false
    if (after !== undefined && after.start < end) return false
    this.#taken.splice(n, 0, { start, end })
    return true
  }

  /** Gives back what begins at the address. */
  release(start: number): void {
    const n = this.#position(start)
    if (this.#taken[n]?.start !== start) return
    this.#taken.splice(n, 1)
    this.#refused = { size: Infinity, alignment: Infinity }
  }

  /** How many intervals begin below the address. */
  #position(address: number): number {
    let low = 0
    let high = this.#taken.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#taken[middle]?.start ?? 0) < address) low = middle + 1
      else high = middle
    }
    return low
  }
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment
}
