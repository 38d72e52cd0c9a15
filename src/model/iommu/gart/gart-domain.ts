/**
 * The one address space of a GART: an aperture that kernel drivers share for memory their devices cannot
 * reach or that lies in pieces (arch/x86/kernel/amd_gart_64.c). It translates and protects nothing:
 * there are no access rights, and every device sees it.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import type { Domain, DomainType, Geometry } from '../domain.ts'
import { checkMapping } from '../tables/paging.ts'
import type { Aperture } from './gart-hardware.ts'

const VALID = 1
const COHERENT = 2
/** 1 TiB in pages: entries have 40 bits of address. */
const REACH = 2 ** 28

export class GartDomain implements Domain {
  readonly type: DomainType = 'DMA'
  readonly geometry: Geometry
  readonly pageSizes: readonly [low: number, high: number] = [0x1000, 0]
  readonly enforcesCoherency = true
  readonly tableBytes: number
  readonly #memory: PhysicalMemory
  readonly #aperture: Aperture
  readonly #flush: () => void

  constructor(memory: PhysicalMemory, aperture: Aperture, flush: () => void) {
    const { firstPage, pages } = aperture
    this.geometry = { firstPage, lastPage: firstPage + pages - 1 }
    this.tableBytes = pages * 4
    this.#memory = memory
    this.#aperture = aperture
    this.#flush = flush
  }

  map(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    checkMapping(this.geometry, iovaPage, pages, access)
    if (physicalPage + pages > REACH) throw new Errno('EINVAL', 'beyond 1 TiB')
    for (let n = 0; n < pages; n += 1) {
      if ((this.#entry(iovaPage + n) & VALID) !== 0) throw new Errno('EEXIST')
    }
    for (let n = 0; n < pages; n += 1) {
      const page = physicalPage + n
      const high = Math.floor(page / 0x100000)
      this.#setEntry(iovaPage + n, (page << 12) | (high << 4) | COHERENT | VALID)
    }
  }

  unmap(iovaPage: number, pages: number): number {
    const first = Math.max(iovaPage, this.geometry.firstPage)
    const end = Math.min(iovaPage + pages, this.geometry.lastPage + 1)
    let removed = 0
    for (let page = first; page < end; page += 1) {
      if ((this.#entry(page) & VALID) === 0) continue
      this.#setEntry(page, 0)
      removed += 1
    }
    if (removed > 0) this.#flush()
    return removed
  }

  physicalPage(iovaPage: number): number {
    const { firstPage, lastPage } = this.geometry
    if (iovaPage < firstPage || iovaPage > lastPage) return iovaPage
    const entry = this.#entry(iovaPage)
    return (entry & VALID) === 0 ? -1 : ((entry >>> 4) & 0xff) * 0x100000 + (entry >>> 12)
  }

  /** The table belongs to the machine, not to a user: it stays. */
  destroy(): void {
    this.unmap(this.geometry.firstPage, this.#aperture.pages)
  }

  #entry(iovaPage: number): number {
    const index = iovaPage - this.#aperture.firstPage
    return this.#memory.word(this.#aperture.table + (index >>> 10), index & 1023)
  }

  #setEntry(iovaPage: number, entry: number): void {
    const index = iovaPage - this.#aperture.firstPage
    this.#memory.setWord(this.#aperture.table + (index >>> 10), index & 1023, entry)
  }
}
