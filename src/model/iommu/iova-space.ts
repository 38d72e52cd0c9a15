/**
 * Free addresses of one default domain: drivers/iommu/iova.c.
 *
 * Ranges are handed out from the top down, each aligned to its own size rounded up to a power of two,
 * so that large buffers can use large pages. What is taken is kept in descending order: a new range
 * usually goes to the end. The search resumes where the last one ended, as the kernel's cached node
 * makes it; freeing something above moves that point back up.
 */
import { Errno } from '../errno.ts'
import type { Geometry } from './domain.ts'
import type { ReservedRegion } from './unit.ts'

interface Range {
  readonly first: number
  /** Inclusive. */
  readonly last: number
}

/** Last page that a 32-bit address reaches. */
export const LAST_32BIT_PAGE = 0xfffff
/** Sizes below are rounded up to a power of two, so that freed ranges fit again (iova range caches). */
const ROUNDED_BELOW = 32

export class IovaSpace {
  readonly #firstPage: number
  readonly #lastPage: number
  readonly #taken: Range[] = []
  /** By search limit: where the next search starts. */
  readonly #resume = new Map<number, number>()

  /** Page 0 is never handed out: drivers take 0 for "none". */
  constructor(geometry: Geometry, reserved: readonly ReservedRegion[]) {
    this.#firstPage = Math.max(1, geometry.firstPage)
    this.#lastPage = geometry.lastPage
    for (const { firstPage, lastPage } of reserved) this.#reserve(firstPage, lastPage)
  }

  /**
   * The highest free range up to `limit` (inclusive).
   * @returns its first page @throws Errno ENOMEM
   */
  allocate(pages: number, limit: number): number {
    const power = 2 ** Math.ceil(Math.log2(pages))
    const size = pages < ROUNDED_BELOW ? power : pages
    const end = Math.min(limit, this.#lastPage)
    const resume = Math.min(end, this.#resume.get(limit) ?? end)
    let first = this.#search(resume, size, power)
    if (first === null && resume < end) first = this.#search(end, size, power)
    if (first === null) throw new Errno('ENOMEM')
    this.#resume.set(limit, first - 1)
    return first
  }

  /** @param first what `allocate` returned */
  free(first: number): void {
    const at = this.#indexAtOrBelow(first)
    const range = this.#taken[at]
    if (range?.first !== first) throw new Error(`IOVA page ${first.toString(16)} is not allocated`)
    this.#taken.splice(at, 1)
    for (const [limit, resume] of this.#resume) {
      if (range.first > resume) this.#resume.set(limit, range.last)
    }
  }

  #search(from: number, size: number, alignment: number): number | null {
    let top = from
    for (let at = this.#indexAtOrBelow(from); ; at += 1) {
      const below = this.#taken[at]
      const floor = below === undefined ? this.#firstPage : below.last + 1
      const first = Math.floor((top - size + 1) / alignment) * alignment
      if (first >= floor) {
        this.#taken.splice(at, 0, { first, last: first + size - 1 })
        return first
      }
      if (below === undefined) return null
      top = Math.min(top, below.first - 1)
    }
  }

  /** Index of the highest range that begins at the page or below it; the length when there is none. */
  #indexAtOrBelow(page: number): number {
    let low = 0
    let high = this.#taken.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#taken[middle]?.first ?? 0) > page) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Reserved regions may overlap each other: only what is still free is taken. */
  #reserve(first: number, last: number): void {
    let start = first
    let end = last
    const overlaps = this.#taken.filter((range) => range.first <= end && range.last >= start)
    for (const range of overlaps) {
      start = Math.min(start, range.first)
      end = Math.max(end, range.last)
      this.#taken.splice(this.#taken.indexOf(range), 1)
    }
    this.#taken.splice(this.#indexAtOrBelow(start), 0, { first: start, last: end })
  }
}
