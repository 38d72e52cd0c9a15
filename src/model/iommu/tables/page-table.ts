/**
 * Page tables as an IOMMU driver writes them: a tree of 512-entry tables in physical memory, in the
 * hardware's own format (__domain_mapping and domain_unmap of drivers/iommu/intel/iommu.c,
 * iommu_v1_map_pages and iommu_v1_unmap_pages of drivers/iommu/amd/io_pgtable.c, and iommu_pgsize of
 * drivers/iommu/iommu.c, which picks the sizes).
 *
 * Nothing about a mapping is kept outside the tables: what is mapped is read back from them, as Linux
 * does. Page numbers are plain numbers; an entry is two 32-bit words.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { type EntryFormat, pageOf } from './entry-format.ts'
import { TablePages } from './table-pages.ts'

/** Pages under one entry of level 4: the lower 27 bits of a page number pick in levels 3 to 1. */
const LOW_PAGES = 2 ** 27

export class PageTable {
  /** Page of the topmost table. Changes when the tree grows. */
  root: number
  /** 1 and more: levels of tables between the root and the pages, both included. */
  levels: number
  /** First page removed by the last unmap, and one more than the last: sizes may reach beyond the request. */
  removedFrom = 0
  removedTo = 0

  readonly #format: EntryFormat
  readonly #memory: PhysicalMemory
  readonly #pages: TablePages
  /** Table of each level on the way that was walked last. */
  readonly #path: number[] = [0, 0, 0, 0, 0, 0, 0]
  /** Pages written by the map that is under way. */
  #mapped = 0

  /** @throws Errno ENOMEM */
  constructor(memory: PhysicalMemory, format: EntryFormat, levels: number) {
    this.#memory = memory
    this.#format = format
    this.#pages = new TablePages(memory)
    this.levels = levels
    this.root = this.#pages.allocate()
  }

  /** Bytes of tables in use. */
  get bytes(): number {
    return this.#pages.count * 4096
  }

  /** Pages that the tree can span: page numbers below it can be mapped. */
  get span(): number {
    return 512 ** this.levels
  }

  /**
   * Maps physically contiguous pages; on failure nothing stays mapped.
   * @throws Errno EEXIST when a page is mapped already, ENOMEM
   */
  map(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    this.#mapped = 0
    try {
      while (this.#mapped < pages) {
        const done = this.#mapped
        this.#mapInOneTable(iovaPage + done, physicalPage + done, pages - done, access)
      }
    } catch (error) {
      const done = this.#mapped
      if (done > 0) this.unmap(iovaPage, done)
      this.#pruneEmpty(iovaPage + done)
      throw error
    }
  }

  /** Unmaps all pages that touch the range. @returns how many pages that were */
  unmap(iovaPage: number, pages: number): number {
    const end = iovaPage + pages
    let removed = 0
    let at = iovaPage
    this.removedFrom = end
    this.removedTo = iovaPage
    while (at < end) {
      const level = this.#descend(at)
      const table = this.#path[level] ?? 0
      const low = this.#memory.word(table, slot(at, level) << 1)
      if ((low & this.#format.present) === 0) {
        const span = 512 ** (level - 1)
        at = (Math.floor(at / span) + 1) * span
      } else {
        const next = this.#clearInOneTable(at, end, table, level)
        removed += next - this.#clearedFrom
        this.removedFrom = Math.min(this.removedFrom, this.#clearedFrom)
        this.removedTo = next
        at = next
      }
    }
    return removed
  }

  /** @returns the physical page, or -1 */
  lookup(iovaPage: number): number {
    if (iovaPage >= this.span) return -1
    const level = this.#descend(iovaPage)
    const table = this.#path[level] ?? 0
    const index = slot(iovaPage, level) << 1
    const low = this.#memory.word(table, index)
    if ((low & this.#format.present) === 0) return -1
    const high = this.#memory.word(table, index + 1)
    const size = 2 ** this.#format.order(low, high, level)
    const page = pageOf(low, high)
    return page - (page % size) + (iovaPage % size)
  }

  /** Adds a level above the root (increase_address_space). @throws Errno ENOMEM */
  grow(): void {
    // An empty table is as good one level higher.
    if (this.#pages.use(this.root, 0) > 0) {
      const root = this.#pages.allocate()
      this.#write(root, 0, this.root, this.#format.tableLow[this.levels + 1] ?? 0)
      this.#pages.use(root, 1)
      this.root = root
    }
    this.levels += 1
  }

  /** Frees every table. */
  destroy(): void {
    this.#freeTree(this.root, this.levels)
    this.#pages.close()
  }

  #mapInOneTable(iovaPage: number, physicalPage: number, pages: number, access: number): void {
    const format = this.#format
    let order = orderOf(format.orders, iovaPage, physicalPage, pages)
    const level = levelOf(order)
    const table = this.#makeWay(iovaPage, level)
    let index = slot(iovaPage, level)
    let done = 0
    do {
      const page = physicalPage + done + (format.sizePages[order] ?? 0)
      const low = (page << 12) | (format.pageLow[access] ?? 0) | (format.sizeLow[order] ?? 0)
      const high = Math.floor(page / 0x100000) | (format.pageHigh[access] ?? 0)
      const copies = copiesOf(order)
      for (let copy = index; copy < index + copies; copy += 1) {
        if ((this.#memory.word(table, copy << 1) & format.present) !== 0) throw new Errno('EEXIST')
      }
      for (let copy = index; copy < index + copies; copy += 1) {
        this.#memory.setWord(table, copy << 1, low)
        this.#memory.setWord(table, (copy << 1) | 1, high)
      }
      this.#pages.use(table, copies)
      index += copies
      done += 2 ** order
      this.#mapped += 2 ** order
      if (index === 512 || done >= pages) return
      order = orderOf(format.orders, iovaPage + done, physicalPage + done, pages - done)
    } while (levelOf(order) === level)
  }

  /** @returns the table of a level that has the page's entry, made with all above it if need be */
  #makeWay(iovaPage: number, level: number): number {
    let table = this.root
    for (let at = this.levels; at > level; at -= 1) {
      const index = slot(iovaPage, at)
      const low = this.#memory.word(table, index << 1)
      if ((low & this.#format.present) === 0) {
        const made = this.#pages.allocate()
        this.#write(table, index, made, this.#format.tableLow[at] ?? 0)
        this.#pages.use(table, 1)
        table = made
      } else if (this.#format.isPage(low, at)) {
        throw new Errno('EEXIST')
      } else {
        table = pageOf(low, this.#memory.word(table, (index << 1) | 1))
      }
    }
    return table
  }

  /** Walks down while there are tables, noting them. @returns the level where the walk ends */
  #descend(iovaPage: number): number {
    const path = this.#path
    let table = this.root
    let level = this.levels
    for (; ; level -= 1) {
      path[level] = table
      if (level === 1) return 1
      const index = slot(iovaPage, level) << 1
      const low = this.#memory.word(table, index)
      if ((low & this.#format.present) === 0 || this.#format.isPage(low, level)) return level
      table = pageOf(low, this.#memory.word(table, index + 1))
    }
  }

  #clearedFrom = 0

  /** Clears the page at `at` and those that follow in its table. @returns where it stopped */
  #clearInOneTable(at: number, end: number, table: number, level: number): number {
    const format = this.#format
    const span = 512 ** (level - 1)
    let index = slot(at, level)
    let cleared = 0
    let next = at
    while (index < 512 && next < end) {
      const low = this.#memory.word(table, index << 1)
      if ((low & format.present) === 0 || !format.isPage(low, level)) break
      const high = this.#memory.word(table, (index << 1) | 1)
      const copies = copiesOf(format.order(low, high, level))
      index -= index % copies
      if (cleared === 0) this.#clearedFrom = at - (at % (span * copies))
      for (let copy = index; copy < index + copies; copy += 1) {
        this.#memory.setWord(table, copy << 1, 0)
        this.#memory.setWord(table, (copy << 1) | 1, 0)
      }
      index += copies
      cleared += copies
      next = this.#clearedFrom + cleared * span
    }
    if (this.#pages.use(table, -cleared) === 0) this.#prune(at, level)
    return next
  }

  /** Frees an empty table, and those above it that become empty; never the root. */
  #prune(iovaPage: number, level: number): void {
    for (let at = level; at < this.levels; at += 1) {
      this.#pages.retire(this.#path[at] ?? 0)
      const above = this.#path[at + 1] ?? 0
      const index = slot(iovaPage, at + 1)
      this.#memory.setWord(above, index << 1, 0)
      this.#memory.setWord(above, (index << 1) | 1, 0)
      if (this.#pages.use(above, -1) > 0) return
    }
  }

  /** Tables made for a map that then failed. */
  #pruneEmpty(iovaPage: number): void {
    const level = this.#descend(iovaPage)
    if (this.#pages.use(this.#path[level] ?? 0, 0) === 0) this.#prune(iovaPage, level)
  }

  #freeTree(table: number, level: number): void {
    for (let index = 0; level > 1 && index < 512; index += 1) {
      const low = this.#memory.word(table, index << 1)
      if ((low & this.#format.present) === 0 || this.#format.isPage(low, level)) continue
      this.#freeTree(pageOf(low, this.#memory.word(table, (index << 1) | 1)), level - 1)
    }
    this.#pages.free(table)
  }

  #write(table: number, index: number, page: number, flags: number): void {
    this.#memory.setWord(table, index << 1, (page << 12) | flags)
    this.#memory.setWord(
      table,
      (index << 1) | 1,
      Math.floor(page / 0x100000) | this.#format.tableHigh,
    )
  }
}

/** Index of a page's entry in its table of a level. */
function slot(iovaPage: number, level: number): number {
  if (level <= 3) return (iovaPage >>> (9 * (level - 1))) & 511
  return (Math.floor(iovaPage / LOW_PAGES) >>> (9 * (level - 4))) & 511
}

/** The largest order that both addresses and the length allow. */
function orderOf(orders: number, iovaPage: number, physicalPage: number, pages: number): number {
  if (orders === 1) return 0
  const bits = (iovaPage | physicalPage) & (LOW_PAGES - 1)
  const aligned = bits === 0 ? 27 : 31 - Math.clz32(bits & -bits)
  const fits = pages >= LOW_PAGES ? 27 : 31 - Math.clz32(pages)
  return 31 - Math.clz32(orders & ((2 << Math.min(aligned, fits)) - 1))
}

/** Level whose entries hold pages of an order. */
function levelOf(order: number): number {
  return order < 9 ? 1 : order < 18 ? 2 : 3
}

/** Equal entries that a page of an order takes. */
function copiesOf(order: number): number {
  return 1 << (order % 9)
}
