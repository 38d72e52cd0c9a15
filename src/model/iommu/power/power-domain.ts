/**
 * Domains of POWER: one TCE table of 2 GiB for window 0 (the 32-bit window of
 * arch/powerpc/platforms/powernv/pci-ioda.c), whatever number of PEs points at it; identity opens both
 * windows, blocked neither.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import type { Domain, DomainType, Geometry } from '../domain.ts'
import { checkMapping } from '../tables/paging.ts'
import type { Window } from './power-hardware.ts'
import { TceTable } from './tce-table.ts'

/** 2 GiB in pages, and the levels of 512 entries that this takes. */
const WINDOW_PAGES = 2 ** 19
const LEVELS = 3

export class PowerDomain implements Domain {
  readonly type: DomainType
  readonly geometry: Geometry = { firstPage: 0, lastPage: WINDOW_PAGES - 1 }
  readonly pageSizes: readonly [low: number, high: number] = [0x1000, 0]
  readonly enforcesCoherency = true
  /** Called for what must be forgotten, by PE attached. */
  readonly flushers: Map<object, (firstPage: number, pages: number) => void> = new Map()
  readonly #table: TceTable | null

  /** @throws Errno ENOMEM */
  constructor(memory: PhysicalMemory, type: DomainType) {
    this.type = type
    this.#table = type === 'identity' || type === 'blocked' ? null : new TceTable(memory, LEVELS)
  }

  /** What the TVE registers of a PE hold that is attached to it. */
  get windows(): readonly [Window | null, Window | null] {
    if (this.type === 'identity') return [{ kind: 'bypass' }, { kind: 'bypass' }]
    if (this.#table === null) return [null, null]
    const { root, levels } = this.#table
    return [{ kind: 'table', table: root, levels, pages: WINDOW_PAGES }, null]
  }

  get tableBytes(): number {
    return this.#table?.bytes ?? 0
  }

  map(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    const table = this.#table
    if (table === null) throw new Errno('EINVAL', `a domain of type ${this.type} has no mappings`)
    checkMapping(this.geometry, iovaPage, pages, access)
    let done = 0
    try {
      for (; done < pages; done += 1) table.map(iovaPage + done, physicalPage + done, access)
    } catch (error) {
      this.unmap(iovaPage, done)
      throw error
    }
  }

  unmap(iovaPage: number, pages: number): number {
    const table = this.#table
    if (table === null) return 0
    let removed = 0
    const end = Math.min(iovaPage + pages, WINDOW_PAGES)
    for (let page = iovaPage; page < end; page += 1) removed += table.unmap(page) ? 1 : 0
    if (removed > 0) for (const flush of this.flushers.values()) flush(iovaPage, pages)
    return removed
  }

  physicalPage(iovaPage: number): number {
    if (this.#table !== null) return iovaPage < WINDOW_PAGES ? this.#table.lookup(iovaPage) : -1
    return this.type === 'identity' ? iovaPage : -1
  }

  destroy(): void {
    if (this.flushers.size > 0) throw new Error('a domain is destroyed while PEs are attached')
    this.#table?.destroy()
  }
}
