/**
 * TCE tables as the driver writes them (arch/powerpc/platforms/powernv/pci-ioda-tce.c): big-endian
 * entries of 8 bytes, bit 0 read, bit 1 write, the rest the address. Upper levels hold pointers with both
 * bits set.
 */
import { Errno } from '../../errno.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { READ, WRITE } from '../domain.ts'
import { TablePages } from '../tables/table-pages.ts'

export class TceTable {
  readonly root: number
  readonly levels: number
  readonly #memory: PhysicalMemory
  readonly #pages: TablePages

  /** @param levels tables of 512 entries between root and page @throws Errno ENOMEM */
  constructor(memory: PhysicalMemory, levels: number) {
    this.#memory = memory
    this.#pages = new TablePages(memory)
    this.levels = levels
    this.root = this.#pages.allocate()
  }

  get bytes(): number {
    return this.#pages.count * 4096
  }

  /** One page. "Writable" means readable too, as powernv sets it. @throws Errno EEXIST, ENOMEM */
  map(page: number, physicalPage: number, access: number): void {
    const table = this.#makeWay(this.root, this.levels, page)
    if (this.#read(table, page & 511) !== 0) throw new Errno('EEXIST')
    const rights = (access & WRITE) !== 0 ? READ | WRITE : READ
    this.#write(table, page & 511, physicalPage, rights)
    this.#pages.use(table, 1)
  }

  /** @returns whether the page was mapped */
  unmap(page: number): boolean {
    return this.#clear(this.root, this.levels, page)
  }

  /** @returns the physical page, or -1 */
  lookup(page: number): number {
    let table = this.root
    for (let level = this.levels; ; level -= 1) {
      const index = indexAt(page, level)
      if (this.#read(table, index) === 0) return -1
      const target = this.#target(table, index)
      if (level === 1) return target
      table = target
    }
  }

  destroy(): void {
    this.#free(this.root, this.levels)
  }

  #makeWay(table: number, level: number, page: number): number {
    if (level === 1) return table
    const index = indexAt(page, level)
    if (this.#read(table, index) !== 0) {
      return this.#makeWay(this.#target(table, index), level - 1, page)
    }
    const made = this.#pages.allocate()
    try {
      const leaf = this.#makeWay(made, level - 1, page)
      this.#write(table, index, made, READ | WRITE)
      this.#pages.use(table, 1)
      return leaf
    } catch (error) {
      this.#pages.free(made)
      throw error
    }
  }

  #clear(table: number, level: number, page: number): boolean {
    const index = indexAt(page, level)
    if (this.#read(table, index) === 0) return false
    if (level > 1) {
      const below = this.#target(table, index)
      if (!this.#clear(below, level - 1, page)) return false
      if (this.#pages.use(below, 0) > 0) return true
      this.#pages.free(below)
    }
    this.#write(table, index, 0, 0)
    this.#pages.use(table, -1)
    return true
  }

  #free(table: number, level: number): void {
    for (let index = 0; level > 1 && index < 512; index += 1) {
      if (this.#read(table, index) !== 0) this.#free(this.#target(table, index), level - 1)
    }
    this.#pages.free(table)
  }

  /** Rights of an entry; 0 = empty. */
  #read(table: number, index: number): number {
    return (this.#memory.word(table, index * 2 + 1) >>> 24) & (READ | WRITE)
  }

  #target(table: number, index: number): number {
    const high = bigEndian(this.#memory.word(table, index * 2))
    return high * 0x100000 + (bigEndian(this.#memory.word(table, index * 2 + 1)) >>> 12)
  }

  #write(table: number, index: number, page: number, rights: number): void {
    this.#memory.setWord(table, index * 2, bigEndian(Math.floor(page / 0x100000)))
    this.#memory.setWord(table, index * 2 + 1, bigEndian((page << 12) | rights))
  }
}

function indexAt(page: number, level: number): number {
  return Math.floor(page / 512 ** (level - 1)) & 511
}

function bigEndian(word: number): number {
  const bytes = [word & 0xff, (word >>> 8) & 0xff, (word >>> 16) & 0xff, word >>> 24]
  return bytes.reduce((value, byte) => value * 256 + byte, 0)
}
