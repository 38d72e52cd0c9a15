/**
 * Domains of AMD-Vi (struct protection_domain, drivers/iommu/amd/): page tables that begin with three
 * levels and grow when a higher address is mapped; identity is a domain without tables. The id is the
 * same behind every unit.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import type { Domain, DomainType, Geometry } from '../domain.ts'
import { PageTable } from '../tables/page-table.ts'
import { checkMapping } from '../tables/paging.ts'
import { AMD_PAGE_FORMAT } from './page-format.ts'

/** PAGE_MODE_3_LEVEL */
const FIRST_LEVELS = 3

/** What the domain needs of a unit that it is attached behind. */
export interface AmdFlusher {
  flushPages(domain: AmdDomain, firstPage: number, pages: number): void
  /** Root or levels have changed: every device table entry that names them must follow. */
  updateRoot(domain: AmdDomain): void
}

export class AmdDomain implements Domain {
  readonly type: DomainType
  /** Domain id; 0 for the blocked domain, which has none. */
  readonly id: number
  readonly geometry: Geometry = { firstPage: 0, lastPage: 2 ** 52 - 1 }
  /** Every power of two from 4 KiB up but 512 GiB. */
  readonly pageSizes: readonly [low: number, high: number] = [0xfffff000, 0xfff7f]
  /** Every entry has the "force coherent" bit. */
  readonly enforcesCoherency = true
  /** Units with a device attached to it. */
  readonly units: Set<AmdFlusher> = new Set()
  /** Null: identity or blocked. */
  readonly table: PageTable | null
  readonly #largestLevels: number
  readonly #onDestroy: () => void

  constructor(
    type: DomainType,
    id: number,
    table: PageTable | null,
    largestLevels: number,
    onDestroy: () => void,
  ) {
    this.type = type
    this.id = id
    this.table = table
    this.#largestLevels = largestLevels
    this.#onDestroy = onDestroy
  }

  get tableBytes(): number {
    return this.table?.bytes ?? 0
  }

  map(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    const { table } = this
    if (table === null) throw new Errno('EINVAL', `a domain of type ${this.type} has no mappings`)
    checkMapping(this.geometry, iovaPage, pages, access)
    if (iovaPage + pages > table.span) this.#grow(table, iovaPage + pages)
    table.map(iovaPage, physicalPage, pages, access)
  }

  unmap(iovaPage: number, pages: number): number {
    const { table } = this
    if (table === null || iovaPage >= table.span) return 0
    const removed = table.unmap(iovaPage, Math.min(pages, table.span - iovaPage))
    if (removed > 0) {
      const first = table.removedFrom
      for (const unit of this.units) unit.flushPages(this, first, table.removedTo - first)
    }
    return removed
  }

  physicalPage(iovaPage: number): number {
    if (this.table !== null) return this.table.lookup(iovaPage)
    return this.type === 'identity' ? iovaPage : -1
  }

  destroy(): void {
    if (this.type === 'blocked') return
    if (this.units.size > 0) throw new Error('a domain is destroyed while devices are attached')
    this.table?.destroy()
    this.#onDestroy()
  }

  /** @throws Errno ENOMEM also when the hardware has no more levels, as increase_address_space does */
  #grow(table: PageTable, end: number): void {
    if (end > 512 ** this.#largestLevels) throw new Errno('ENOMEM', 'no more page table levels')
    while (end > table.span) table.grow()
    for (const unit of this.units) unit.updateRoot(this)
  }
}

/** An empty address space. @throws Errno ENOMEM */
export function pagingDomain(
  memory: PhysicalMemory,
  type: DomainType,
  id: number,
  largestLevels: number,
  onDestroy: () => void,
): AmdDomain {
  const table = new PageTable(memory, AMD_PAGE_FORMAT, FIRST_LEVELS)
  return new AmdDomain(type, id, table, largestLevels, onDestroy)
}
