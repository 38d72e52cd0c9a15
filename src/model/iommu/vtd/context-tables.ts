/**
 * Root and context tables as the driver writes them: one root table, a context table for each bus that
 * has a device attached, an entry for each requester id (iommu_context_addr and
 * domain_context_mapping_one of drivers/iommu/intel/iommu.c).
 */
import type { PhysicalMemory } from '../../memory/physical-memory.ts'

export interface ContextEntry {
  /** Page of the topmost page table; null = pass-through. */
  readonly table: number | null
  /** 1 = 3 levels, 2 = 4 levels, 3 = 5 levels. */
  readonly addressWidth: number
  readonly domain: number
}

const PRESENT = 1
const PASS_THROUGH = 2 << 2

export class ContextTables {
  readonly rootTable: number
  readonly #memory: PhysicalMemory
  readonly #tables: (number | undefined)[] = []

  constructor(memory: PhysicalMemory) {
    this.#memory = memory
    this.rootTable = memory.allocate(1)
  }

  /** Whether an entry is present. */
  has(requester: number): boolean {
    const table = this.#tables[requester >>> 8]
    return table !== undefined && (this.#memory.word(table, (requester & 0xff) * 4) & PRESENT) !== 0
  }

  /** @throws Errno ENOMEM */
  set(requester: number, entry: ContextEntry): void {
    const page = entry.table ?? 0
    const at = (requester & 0xff) * 4
    const table = this.#tables[requester >>> 8] ?? this.#addTable(requester >>> 8)
    const type = entry.table === null ? PASS_THROUGH : 0
    this.#memory.setWord(table, at + 1, Math.floor(page / 0x100000))
    this.#memory.setWord(table, at + 2, entry.addressWidth | (entry.domain << 8))
    this.#memory.setWord(table, at + 3, 0)
    // The word with the present bit comes last: until then the hardware must not see an entry.
    this.#memory.setWord(table, at, (page << 12) | type | PRESENT)
  }

  clear(requester: number): void {
    const table = this.#tables[requester >>> 8]
    if (table === undefined) return
    for (let word = 0; word < 4; word += 1) {
      this.#memory.setWord(table, (requester & 0xff) * 4 + word, 0)
    }
  }

  #addTable(bus: number): number {
    const table = this.#memory.allocate(1)
    this.#tables[bus] = table
    this.#memory.setWord(this.rootTable, bus * 4 + 1, Math.floor(table / 0x100000))
    this.#memory.setWord(this.rootTable, bus * 4, (table << 12) | PRESENT)
    return table
  }
}
