/**
 * Which IOVAs of a context are free. What is free begins as the ranges that every IOMMU of the context translates,
 * reserved regions left out (VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE); what is mapped is taken out, and comes back.
 *
 *     free:   [0x1000 .. 0xfedfffff]   [0xfef00000 .. 0xffffffffffff]
 *
 * Kept as ranges in order, with neighbours joined. A search begins where the last one ended, so a program that maps
 * and unmaps in turns finds its place at once. Addresses are exact up to 2^53; nothing above is given away.
 */

/** Both ends included, in bytes. */
export interface IovaRange {
  readonly start: number
  readonly end: number
}

interface Free {
  start: number
  /** Last byte. */
  end: number
}

const HIGHEST = Number.MAX_SAFE_INTEGER

export class IovaSpace {
  readonly #free: Free[]
  #next = 0

  /** @param ranges in any order, not overlapping; none = nothing can be mapped */
  constructor(ranges: readonly IovaRange[]) {
    this.#free = ranges
      .filter(({ start, end }) => start <= end && start <= HIGHEST)
      .map(({ start, end }) => ({ start, end: Math.min(end, HIGHEST) }))
      .sort((a, b) => a.start - b.start)
  }

  /** Ranges that are free, in order. */
  free(): readonly IovaRange[] {
    return this.#free.map(({ start, end }) => ({ start, end }))
  }

  /**
   * Takes a free place out.
   * @param size bytes, above 0 @param alignment a power of two
   * @param from its first byte is here or above @param below its last byte is below; absent: anywhere
   * @returns its first address; null: there is none so large
   */
  allocate(
    size: number,
    alignment: number,
    from: number = 0,
    below: number = Infinity,
  ): number | null {
    const count = this.#free.length
    for (let tried = 0; tried < count; tried++) {
      const at = (this.#next + tried) % count
      const range = this.#free[at]
      if (range === undefined) continue
      const start = Math.ceil(Math.max(range.start, from) / alignment) * alignment
      if (start + size > Math.min(range.end + 1, below)) continue
      this.#cut(at, start, start + size - 1)
      this.#next = Math.min(at, Math.max(0, this.#free.length - 1))
      return start
    }
    return null
  }

  /** Takes this place out. @returns false: not all of it is free, and nothing changed */
  reserve(start: number, size: number): boolean {
    const at = this.#indexBelow(start)
    const range = this.#free[at]
    if (range === undefined || range.start > start || range.end < start + size - 1) return false
    this.#cut(at, start, start + size - 1)
    return true
  }

  /** Gives a place back that was taken out. @throws Error: some of it is free already */
  release(start: number, size: number): void {
    const end = start + size - 1
    const below = this.#indexBelow(start)
    const before = this.#free[below]
    const after = this.#free[below + 1]
    if (
      (before !== undefined && before.end >= start) ||
      (after !== undefined && after.start <= end)
    ) {
      throw new Error(`IOVA 0x${start.toString(16)} is free already`)
    }
    const joinsBefore = before?.end === start - 1
    const joinsAfter = after?.start === end + 1
    if (joinsBefore && joinsAfter) {
      before.end = after.end
      this.#free.splice(below + 1, 1)
    } else if (joinsBefore) before.end = end
    else if (joinsAfter) after.start = start
    else this.#free.splice(below + 1, 0, { start, end })
  }

  /** The last range that begins at or before an address; -1: none does. */
  #indexBelow(address: number): number {
    let low = 0
    let high = this.#free.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#free[middle]?.start ?? 0) <= address) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #cut(at: number, start: number, end: number): void {
    const range = this.#free[at]
    if (range === undefined) return
    const rest: Free[] = []
    if (range.start < start) rest.push({ start: range.start, end: start - 1 })
    if (range.end > end) rest.push({ start: end + 1, end: range.end })
    this.#free.splice(at, 1, ...rest)
  }
}
