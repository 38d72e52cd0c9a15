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
   * @param size bytes, above 0 @param alignment a power of two, at most 2^31
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
    const first = this.#next < count ? this.#next : 0
    for (let tried = 0; tried < count; tried++) {
      const at = first + tried < count ? first + tried : first + tried - count
      const range = this.#free[at]
      if (range === undefined) continue
      const start = alignUp(range.start > from ? range.start : from, alignment)
      const end = start + size - 1
      if (end > range.end || end >= below) continue
      this.#cut(at, range, start, end)
      this.#next = at
      return start
    }
    return null
  }

  /** Takes this place out. @returns false: not all of it is free, and nothing changed */
  reserve(start: number, size: number): boolean {
    const at = this.#indexBelow(start)
    const range = this.#free[at]
    if (range === undefined || range.start > start || range.end < start + size - 1) return false
    this.#cut(at, range, start, start + size - 1)
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

  /** Mostly at an end of the range, which then only moves. */
  #cut(at: number, range: Free, start: number, end: number): void {
    if (range.start === start) {
      if (range.end === end) this.#free.splice(at, 1)
      else range.start = end + 1
    } else if (range.end === end) range.end = start - 1
    else {
      this.#free.splice(at + 1, 0, { start: end + 1, end: range.end })
      range.end = start - 1
    }
  }
}

/** With whole numbers of 32 bits: this is done for every mapping. */
function alignUp(address: number, alignment: number): number {
  const over = (address & (alignment - 1)) >>> 0
  return over === 0 ? address : address + (alignment - over)
}
