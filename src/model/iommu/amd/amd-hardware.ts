/**
 * An AMD IOMMU as hardware (AMD I/O Virtualization Technology specification, chapter 2): each request
 * picks one of 65536 device table entries by its requester id; the entry names domain, page table and
 * interrupt table. It remembers entries and translations until it is told to forget them.
 *
 * The driver (amd-unit.ts) reaches it only as software reaches hardware: what stands in memory, a few
 * registers (the set... methods), and invalidation commands.
 */
import type { FaultRecord, Interrupt, TranslationHardware } from '../../hardware/translation.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { READ, WRITE } from '../domain.ts'
import { FaultLog } from '../hardware/fault-log.ts'
import { Iotlb } from '../hardware/iotlb.ts'
import { AMD_EVENT, EVENT_RECORDS, eventText } from './events.ts'
import { remapInterrupt } from './interrupt-hardware.ts'

/** A device table entry, decoded. */
interface Entry {
  /** False: everything passes as it is. */
  readonly valid: boolean
  /** Levels of the page table; 0 = none. */
  readonly mode: number
  readonly root: number
  readonly rights: number
  readonly domain: number
  /** Words 4 and 5: what the entry says of interrupts. */
  readonly interruptsLow: number
  readonly interruptsHigh: number
}

/** HyperTransport's own addresses, 0xFD00000000-0xFFFFFFFFFF: no memory. */
const HT_FIRST = 0xfd00000
const HT_LAST = 0xfffffff

export class AmdHardware implements TranslationHardware {
  readonly #memory: PhysicalMemory
  readonly #faults = new FaultLog(EVENT_RECORDS)
  readonly #iotlb = new Iotlb()
  /** Device table entries, by bus and devfn. */
  readonly #entries: (Entry | undefined)[][] = []
  #deviceTable = -1
  #guestApic = false

  constructor(memory: PhysicalMemory) {
    this.#memory = memory
    for (let bus = 0; bus < 256; bus += 1) this.#entries.push([])
  }

  /**
   * Device table base and IommuEn; -1 = off, everything passes.
   * @param guestApic GAEn: interrupt table entries have 16 bytes
   */
  setDeviceTable(firstPage: number, guestApic: boolean): void {
    this.#deviceTable = firstPage
    this.#guestApic = guestApic
    for (const bus of this.#entries) bus.length = 0
    this.#iotlb.invalidateAll()
  }

  /** INVALIDATE_DEVTAB_ENTRY */
  invalidateDevice(requester: number): void {
    const bus = this.#entries[requester >>> 8]
    if (bus !== undefined) bus[requester & 0xff] = undefined
  }

  /** INVALIDATE_IOMMU_PAGES of a whole domain. */
  invalidateDomain(domain: number): void {
    this.#iotlb.invalidateDomain(domain)
  }

  /** INVALIDATE_IOMMU_PAGES */
  invalidatePages(domain: number, firstPage: number, pages: number): void {
    this.#iotlb.invalidatePages(domain, firstPage, pages)
  }

  get faults(): readonly FaultRecord[] {
    return this.#faults.records
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  translate(requester: number, page: number, write: boolean): number {
    const entry = this.#entryOf(requester, page, write)
    if (entry === null) return -1
    if (!entry.valid) return page
    if (page >= HT_FIRST && page <= HT_LAST) {
      return this.#fault(requester, page, write, AMD_EVENT.invalidDeviceRequest)
    }
    const need = write ? WRITE : READ
    if (entry.mode === 0) {
      if ((entry.rights & need) !== 0) return page
      return this.#fault(requester, page, write, AMD_EVENT.pageFault)
    }
    const cached = this.#iotlb.lookup(entry.domain, page, need)
    return cached !== -1 ? cached : this.#walk(entry, requester, page, write)
  }

  interrupt(requester: number, address: number, data: number): Interrupt | null {
    const page = address >>> 12
    const entry = this.#entryOf(requester, page, true)
    if (entry === null) return null
    const table = { low: entry.interruptsLow, high: entry.interruptsHigh }
    const result = remapInterrupt(this.#memory, table, this.#guestApic, address, data)
    if (typeof result === 'object') return result
    if (result === 'fault') this.#fault(requester, page, true, AMD_EVENT.pageFault)
    if (result === 'illegal') {
      this.#fault(requester, page, true, AMD_EVENT.illegalDeviceTableEntry)
    }
    return null
  }

  #entryOf(requester: number, page: number, write: boolean): Entry | null {
    const known = this.#entries[requester >>> 8]?.[requester & 0xff]
    if (known !== undefined) return known
    const entry = this.#readEntry(requester)
    if (typeof entry === 'number') {
      this.#fault(requester, page, write, entry)
      return null
    }
    const bus = this.#entries[requester >>> 8]
    if (bus !== undefined) bus[requester & 0xff] = entry
    return entry
  }

  /** @returns the entry, or the code of what is wrong with it */
  #readEntry(requester: number): Entry | number {
    if (this.#deviceTable === -1) return PASS
    const page = this.#deviceTable + (requester >>> 7)
    const read = (word: number): number => this.#memory.word(page, (requester & 127) * 8 + word)
    const low = read(0)
    if (low === -1) return AMD_EVENT.deviceTableError
    const interrupts = { interruptsLow: read(4), interruptsHigh: read(5) }
    if ((low & 1) === 0) return { ...PASS, ...interrupts }
    const high = read(1)
    const mode = (low >>> 9) & 7
    // Bits 6:2 and 8:7 (accessed and dirty, not supported here) are zero, and mode 7 does not exist.
    if (mode === 7 || (low & 0x1fc) !== 0) return AMD_EVENT.illegalDeviceTableEntry
    const translates = (low & 2) !== 0
    return {
      valid: true,
      mode: translates ? mode : 0,
      root: (high & 0xfffff) * 0x100000 + (low >>> 12),
      rights: translates ? (high >>> 29) & 3 : 0,
      domain: read(2) & 0xffff,
      ...interrupts,
    }
  }

  /** Specification 2.2.3. Rights are those of all entries on the way, the device table's included. */
  #walk(entry: Entry, requester: number, page: number, write: boolean): number {
    let { root: table, mode: level, rights } = entry
    if (page >= 512 ** level) return this.#fault(requester, page, write, AMD_EVENT.pageFault)
    for (;;) {
      const at = level > 3 ? Math.floor(page / 2 ** (9 * (level - 1))) : page >>> (9 * level - 9)
      const low = this.#memory.word(table, (at & 511) << 1)
      if (low === -1) return this.#fault(requester, page, write, AMD_EVENT.pageTableError)
      if ((low & 1) === 0) return this.#fault(requester, page, write, AMD_EVENT.pageFault)
      const high = this.#memory.word(table, ((at & 511) << 1) + 1)
      const target = (high & 0xfffff) * 0x100000 + (low >>> 12)
      rights &= high >>> 29
      const next = (low >>> 9) & 7
      if (next === 0 || next === 7) {
        const size = next === 0 ? 512 ** (level - 1) : codedSize(target)
        if ((rights & (write ? WRITE : READ)) === 0) {
          return this.#fault(requester, page, write, AMD_EVENT.pageFault)
        }
        const physical = size === 1 ? target : target - (target % size) + (page % size)
        this.#iotlb.fill(entry.domain, page, physical, rights)
        return physical
      }
      // A table may be skipped only where the address has zeros for it.
      const skipped =
        next < level - 1 ? Math.floor(page / 512 ** next) % 512 ** (level - 1 - next) : 0
      if (next >= level || skipped !== 0) {
        return this.#fault(requester, page, write, AMD_EVENT.pageFault)
      }
      table = target
      level = next
    }
  }

  #fault(requester: number, page: number, write: boolean, reason: number): number {
    this.#faults.record({ requester, page, write, reason, text: eventText(reason) })
    return -1
  }
}

const PASS: Entry = {
  valid: false,
  mode: 0,
  root: 0,
  rights: READ | WRITE,
  domain: 0,
  interruptsLow: 0,
  interruptsHigh: 0,
}

/** Pages of a size-coded entry: twice the lowest zero bit of its page number. */
function codedSize(target: number): number {
  let size = 2
  while (Math.floor((target * 2) / size) % 2 === 1) size *= 2
  return size
}
