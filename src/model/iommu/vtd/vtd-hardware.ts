/**
 * A VT-d unit as hardware (Intel VT-d specification, chapters 3 and 9, legacy mode): for each DMA request
 * it reads the root entry of the bus, the context entry of the function, and then page tables, all from
 * memory. It remembers context entries and translations until it is told to forget them.
 *
 *     requester id 0100 -> root[01] -> context[00] -> level 4 -> 3 -> 2 -> 1 -> page
 *
 * The driver (vtd-unit.ts) reaches it only as software reaches hardware: what stands in memory, a few
 * registers (the set... methods), and invalidation commands.
 */
import type { FaultRecord, Interrupt, TranslationHardware } from '../../hardware/translation.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { READ, WRITE } from '../domain.ts'
import { FaultLog } from '../hardware/fault-log.ts'
import { Iotlb } from '../hardware/iotlb.ts'
import type { VtdCapabilities } from './capabilities.ts'
import { faultText, VTD_FAULT } from './fault-reasons.ts'
import { type InterruptTable, remapInterrupt } from './interrupt-hardware.ts'

/** A context entry, decoded. */
interface Context {
  readonly passThrough: boolean
  readonly domain: number
  /** Topmost page table and its level. */
  readonly table: number
  readonly levels: number
  /** One more than the highest page that may be asked for. */
  readonly limit: number
}

export class VtdHardware implements TranslationHardware {
  readonly #memory: PhysicalMemory
  readonly #capabilities: VtdCapabilities
  readonly #faults: FaultLog
  readonly #iotlb = new Iotlb()
  /** Context cache, by bus and devfn; a bus appears with its first entry. */
  readonly #contexts: ((Context | undefined)[] | undefined)[] = []
  #rootTable = -1
  #interrupts: InterruptTable | null = null

  constructor(memory: PhysicalMemory, capabilities: VtdCapabilities) {
    this.#memory = memory
    this.#capabilities = capabilities
    this.#faults = new FaultLog(capabilities.faultRecords)
  }

  /** RTADDR and GCMD.TE: from now on requests are translated. -1 = translation off. */
  setRootTable(page: number): void {
    this.#rootTable = page
    this.invalidateAll()
  }

  /** IRTA and GCMD.IRE; null = interrupt remapping off. Plain messages are blocked while it is on. */
  setInterruptTable(table: InterruptTable | null): void {
    this.#interrupts = table
  }

  /** Context cache and IOTLB, globally. */
  invalidateAll(): void {
    this.#contexts.length = 0
    this.#iotlb.invalidateAll()
  }

  /** Context cache, device selective. */
  invalidateContext(requester: number): void {
    const bus = this.#contexts[requester >>> 8]
    if (bus !== undefined) bus[requester & 0xff] = undefined
  }

  /** IOTLB, domain selective. */
  invalidateDomain(domain: number): void {
    this.#iotlb.invalidateDomain(domain)
  }

  /** IOTLB, page selective within a domain. */
  invalidatePages(domain: number, firstPage: number, pages: number): void {
    this.#iotlb.invalidatePages(domain, firstPage, pages)
  }

  get faults(): readonly FaultRecord[] {
    return this.#faults.records
  }

  /** FSTS.PFO: faults were lost. */
  get faultsOverflowed(): boolean {
    return this.#faults.overflowed
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  translate(requester: number, page: number, write: boolean): number {
    if (this.#rootTable === -1) return page
    const context =
      this.#contexts[requester >>> 8]?.[requester & 0xff] ??
      this.#readContext(requester, page, write)
    if (context === null) return -1
    if (context.passThrough) return page
    const cached = this.#iotlb.lookup(context.domain, page, write ? WRITE : READ)
    return cached !== -1 ? cached : this.#walk(context, requester, page, write)
  }

  interrupt(requester: number, address: number, data: number): Interrupt | null {
    const result = remapInterrupt(this.#memory, this.#interrupts, requester, address, data)
    if (typeof result === 'object') return result
    this.#fault(requester, address >>> 12, true, result)
    return null
  }

  /** VT-d 9.1 and 9.3. @returns null when the request is blocked */
  #readContext(requester: number, page: number, write: boolean): Context | null {
    const blocked = (reason: number): null => {
      this.#fault(requester, page, write, reason)
      return null
    }
    const bus = requester >>> 8
    const rootLow = this.#memory.word(this.#rootTable, bus * 4)
    if (rootLow === -1) return blocked(VTD_FAULT.rootPointer)
    if ((rootLow & 1) === 0) return blocked(VTD_FAULT.rootNotPresent)
    if ((rootLow & 0xffe) !== 0) return blocked(VTD_FAULT.rootReserved)
    const contexts = address(rootLow, this.#memory.word(this.#rootTable, bus * 4 + 1))
    const at = (requester & 0xff) * 4
    const low = this.#memory.word(contexts, at)
    if (low === -1) return blocked(VTD_FAULT.contextPointer)
    if ((low & 1) === 0) return blocked(VTD_FAULT.contextNotPresent)
    // Fault processing disable: blocked requests of this function are not recorded.
    const quietly = (reason: number): null => ((low & 2) !== 0 ? null : blocked(reason))
    const high = this.#memory.word(contexts, at + 2)
    const rest = this.#memory.word(contexts, at + 3)
    if ((low & 0xff0) !== 0 || (high & 0xff000080) !== 0 || rest !== 0) {
      return quietly(VTD_FAULT.contextReserved)
    }
    const context = this.#decode(low, this.#memory.word(contexts, at + 1), high)
    if (context === null) return quietly(VTD_FAULT.contextInvalid)
    const cached = (this.#contexts[bus] ??= [])
    cached[requester & 0xff] = context
    return context
  }

  #decode(low: number, tableHigh: number, high: number): Context | null {
    const { passThrough, deviceTlb, addressWidths, guestBits } = this.#capabilities
    const type = (low >>> 2) & 3
    const width = high & 7
    if (type === 3 || (type === 2 && !passThrough) || (type === 1 && !deviceTlb)) return null
    if (((addressWidths >>> width) & 1) === 0) return null
    return {
      passThrough: type === 2,
      domain: (high >>> 8) & 0xffff,
      table: address(low, tableHigh),
      levels: width + 2,
      limit: 2 ** (Math.min(30 + 9 * width, guestBits) - 12),
    }
  }

  /** VT-d 3.7: second-level translation. */
  #walk(context: Context, requester: number, page: number, write: boolean): number {
    if (page >= context.limit) return this.#fault(requester, page, write, VTD_FAULT.addressTooWide)
    const denied = write ? VTD_FAULT.writeDenied : VTD_FAULT.readDenied
    let rights = READ | WRITE
    let table = context.table
    for (let level = context.levels; ; level -= 1) {
      const index = indexAt(page, level) * 2
      const low = this.#memory.word(table, index)
      if (low === -1) return this.#fault(requester, page, write, VTD_FAULT.nextTable)
      if ((low & 3) === 0) return this.#fault(requester, page, write, denied)
      const target = address(low, this.#memory.word(table, index + 1))
      rights &= low
      if (level > 1 && (low & 0x80) === 0) {
        table = target
        continue
      }
      const size = level === 1 ? 1 : 512 ** (level - 1)
      if (level > 1 && (!this.#hasPageSize(level) || target % size !== 0)) {
        return this.#fault(requester, page, write, VTD_FAULT.pageReserved)
      }
      if ((rights & (write ? WRITE : READ)) === 0) {
        return this.#fault(requester, page, write, denied)
      }
      const physical = level === 1 ? target : target + (page % size)
      this.#iotlb.fill(context.domain, page, physical, rights)
      return physical
    }
  }

  #hasPageSize(level: number): boolean {
    return level <= 3 && ((this.#capabilities.superPages >>> (level - 2)) & 1) === 1
  }

  #fault(requester: number, page: number, write: boolean, reason: number): number {
    this.#faults.record({ requester, page, write, reason, text: faultText(reason) })
    return -1
  }
}

/** Page number in bits 51:12 of an entry. */
function address(low: number, high: number): number {
  return (high & 0xfffff) * 0x100000 + (low >>> 12)
}

/** Nine bits of the page number, from bit 9 (level - 1) on; numbers above 2^32 need a division. */
function indexAt(page: number, level: number): number {
  if (level < 4) return (page >>> ((level - 1) * 9)) & 0x1ff
  return (Math.floor(page / 0x8000000) >>> ((level - 4) * 9)) & 0x1ff
}
