/**
 * Domains of VT-d: an address space with second-level page tables, the identity domain, and the blocked
 * one (struct dmar_domain, drivers/iommu/intel/iommu.c).
 *
 * A domain may be in use behind several units; each knows it under an id of its own. Whatever is
 * unmapped must be forgotten by all of them: one command per unit, however many devices are attached.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import type { Domain, DomainType, Geometry } from '../domain.ts'
import { PageTable } from '../tables/page-table.ts'
import { checkMapping } from '../tables/paging.ts'
import { pageFormat } from './page-format.ts'

/** What the domain needs of a unit that it is attached behind. */
export interface VtdFlusher {
  flushPages(domain: VtdDomain, firstPage: number, pages: number): void
}

/** What a domain must know of the unit it is made for. */
export interface VtdPaging {
  readonly levels: number
  readonly superPages: number
  /** Bits of the widest address. */
  readonly bits: number
  readonly coherent: boolean
  readonly snoop: boolean
}

export class VtdDomain implements Domain {
  readonly type: DomainType
  readonly geometry: Geometry
  readonly pageSizes: readonly [low: number, high: number]
  readonly paging: VtdPaging
  /** Units with a device attached to it. */
  readonly units: Set<VtdFlusher> = new Set()
  /** Null for pass-through and for the blocked domain. */
  readonly table: PageTable | null

  constructor(type: DomainType, paging: VtdPaging, table: PageTable | null) {
    this.type = type
    this.paging = paging
    this.table = table
    this.geometry = { firstPage: 0, lastPage: 2 ** (paging.bits - 12) - 1 }
    const { superPages } = paging
    this.pageSizes = [0x1000 | ((superPages & 1) << 21) | ((superPages & 2) << 29), 0]
  }

  get enforcesCoherency(): boolean {
    return this.paging.snoop
  }

  get tableBytes(): number {
    return this.table?.bytes ?? 0
  }

  map(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    const { table } = this
    if (table === null) throw new Errno('EINVAL', `a domain of type ${this.type} has no mappings`)
    checkMapping(this.geometry, iovaPage, pages, access)
    table.map(iovaPage, physicalPage, pages, access)
  }

  unmap(iovaPage: number, pages: number): number {
    const { table } = this
    if (table === null) return 0
    const removed = table.unmap(iovaPage, Math.min(pages, this.geometry.lastPage + 1 - iovaPage))
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
    if (this.type === 'identity' || this.type === 'blocked') return
    if (this.units.size > 0) throw new Error('a domain is destroyed while devices are attached')
    this.table?.destroy()
  }
}

/** An empty address space. @throws Errno ENOMEM */
export function pagingDomain(
  memory: PhysicalMemory,
  type: DomainType,
  paging: VtdPaging,
): VtdDomain {
  const format = pageFormat(paging.superPages, paging.snoop)
  return new VtdDomain(type, paging, new PageTable(memory, format, paging.levels))
}
