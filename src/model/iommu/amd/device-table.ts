/**
 * The device table as the driver writes it: 65536 entries of 32 bytes, one per requester id
 * (set_dte_entry and clear_dte_entry of drivers/iommu/amd/iommu.c).
 *
 * An entry of zeros lets everything through: the opposite of VT-d. So every entry is made valid before
 * translation is switched on, with no page table and no rights: that blocks.
 */
import type { PhysicalMemory } from '../../memory/physical-memory.ts'

const ENTRY_WORDS = 8
const ENTRIES_PER_PAGE = 128
const DEVICE_TABLE_PAGES = 65536 / ENTRIES_PER_PAGE

const VALID = 1
const TRANSLATION_VALID = 2
const MODE = 9
/** Bits 61 and 62. */
const READ_WRITE = 0x6000_0000
const INTERRUPTS_VALID = 1
const INTERRUPT_TABLE_LENGTH = 9 << 1
/** IntCtl 2: remapped; bits 61:60. */
const INTERRUPTS_REMAPPED = 0x2000_0000

export class DeviceTable {
  readonly firstPage: number
  readonly #memory: PhysicalMemory

  /** @throws Errno ENOMEM */
  constructor(memory: PhysicalMemory, remapsInterrupts: boolean) {
    this.#memory = memory
    this.firstPage = memory.allocate(DEVICE_TABLE_PAGES, DEVICE_TABLE_PAGES)
    for (let id = 0; id < ENTRIES_PER_PAGE; id += 1) {
      this.block(id)
      // Valid with IntCtl 0: interrupts of ids that no device has been given are blocked.
      if (remapsInterrupts) this.#set(id, 4, INTERRUPTS_VALID)
    }
    const blocked = memory.words(this.firstPage)
    for (let page = 1; page < DEVICE_TABLE_PAGES; page += 1) {
      memory.words(this.firstPage + page).set(blocked)
    }
  }

  /** DMA of the id is blocked. */
  block(id: number): void {
    this.#set(id, 0, VALID | TRANSLATION_VALID)
    this.#set(id, 1, 0)
    this.#set(id, 2, 0)
  }

  /** @param mode levels of the page table; 0 = none, requests pass as they are */
  translate(id: number, domain: number, root: number, mode: number): void {
    this.#set(id, 2, domain)
    this.#set(id, 1, Math.floor(root / 0x100000) | READ_WRITE)
    this.#set(id, 0, (root << 12) | (mode << MODE) | TRANSLATION_VALID | VALID)
  }

  /** Interrupts of the id go through a table of 512 entries. */
  remap(id: number, table: number): void {
    this.#set(id, 5, Math.floor(table / 0x100000) | INTERRUPTS_REMAPPED)
    this.#set(id, 4, (table << 12) | INTERRUPT_TABLE_LENGTH | INTERRUPTS_VALID)
  }

  #set(id: number, word: number, value: number): void {
    const page = this.firstPage + Math.floor(id / ENTRIES_PER_PAGE)
    this.#memory.setWord(page, (id % ENTRIES_PER_PAGE) * ENTRY_WORDS + word, value)
  }
}
