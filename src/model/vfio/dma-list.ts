/**
 * The mappings of a container, by IOVA (iommu->dma_list, a red-black tree in Linux). They do not overlap.
 * A sorted array: adding in ascending order, as programs do, costs nothing, and lookups are binary.
 */
import { Errno } from '../errno.ts'
import type { PinnedRun, Process } from '../process.ts'

/** struct vfio_dma. Addresses are page numbers. */
export interface Mapping {
  readonly iovaPage: number
  readonly pages: number
  virtualPage: number
  /** READ | WRITE */
  readonly access: number
  /** Whose memory it is, and who pays for locking it. */
  readonly process: Process
  /** CAP_IPC_LOCK when it was made: no limit. */
  readonly unlimited: boolean
  pinned: readonly PinnedRun[]
  /** Its virtual address is not valid at the moment (live update of the program). */
  vaddrInvalid: boolean
}

export class DmaList {
  readonly #mappings: Mapping[] = []

  get size(): number {
    return this.#mappings.length
  }

  [Symbol.iterator](): Iterator<Mapping> {
    return this.#mappings[Symbol.iterator]()
  }

  add(mapping: Mapping): void {
    const last = this.#mappings.at(-1)
    if (last === undefined || last.iovaPage < mapping.iovaPage) this.#mappings.push(mapping)
    else this.#mappings.splice(this.#firstAtOrAfter(mapping.iovaPage), 0, mapping)
  }

  /** Takes out neighbours, as `within` gave them. */
  remove(neighbours: readonly Mapping[]): void {
    const [first] = neighbours
    if (first === undefined) return
    const index = this.#firstAtOrAfter(first.iovaPage)
    this.#mappings.splice(index, neighbours.length)
  }

  /** The mapping with the lowest address that overlaps the range (vfio_find_dma_first_node). */
  find(iovaPage: number, pages: number): Mapping | undefined {
    const found = this.#mappings[this.#firstAtOrAfter(iovaPage)]
    return found !== undefined && found.iovaPage < iovaPage + pages ? found : undefined
  }

  /**
   * Version 2 of type1 unmaps only whole mappings.
   * @throws Errno EINVAL when an end of the range is inside a mapping
   */
  refuseBisecting(iovaPage: number, pages: number): void {
    const first = this.find(iovaPage, 1)
    if (first !== undefined && first.iovaPage !== iovaPage) throw new Errno('EINVAL')
    const last = this.find(iovaPage + pages - 1, 1)
    if (last !== undefined && last.iovaPage + last.pages !== iovaPage + pages) {
      throw new Errno('EINVAL', 'a mapping would be cut')
    }
  }

  /** All mappings that overlap the range, ascending; a copy. */
  within(iovaPage: number, pages: number): readonly Mapping[] {
    const first = this.#firstAtOrAfter(iovaPage)
    let end = first
    while ((this.#mappings[end]?.iovaPage ?? Infinity) < iovaPage + pages) end += 1
    return this.#mappings.slice(first, end)
  }

  /** Index of the first mapping that ends after the page begins. */
  #firstAtOrAfter(page: number): number {
    let low = 0
    let high = this.#mappings.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const mapping = this.#mappings[middle]
      if (mapping !== undefined && mapping.iovaPage + mapping.pages <= page) low = middle + 1
      else high = middle
    }
    return low
  }
}
