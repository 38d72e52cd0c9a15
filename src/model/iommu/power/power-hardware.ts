/**
 * A POWER host bridge (IODA2) as hardware: a requester id belongs to a partitionable endpoint (PE), and
 * a PE has two windows. Window 0 begins at address 0; bit 59 of an address selects window 1. A window
 * either has a table of TCEs (translation control entries) or lets addresses through as they are.
 *
 * The first error freezes the PE (EEH): none of its requests pass until software clears the freeze. So
 * there is one fault record per PE.
 */
import type { FaultRecord, Interrupt, TranslationHardware } from '../../hardware/translation.ts'
import { readPlainMessage } from '../../hardware/interrupt-message.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { READ, WRITE } from '../domain.ts'
import { FaultLog } from '../hardware/fault-log.ts'
import { Iotlb } from '../hardware/iotlb.ts'
import { errorText, POWER_ERROR } from './errors.ts'

/** A TVE register. */
export type Window =
  | { readonly kind: 'bypass' }
  | {
      readonly kind: 'table'
      /** Page of the topmost TCE table; tables have 512 entries. */
      readonly table: number
      readonly levels: number
      /** Pages in the window. */
      readonly pages: number
    }

/** An interrupt source: who may raise it, and what it raises. */
export interface InterruptSource extends Interrupt {
  readonly pe: number
}

/** Requester table entry of ids without a PE. */
export const NO_PE = 0xffff

/** Bit 59 of an address, as a page number. */
const SELECT_WINDOW_1 = 2 ** 47
const MAX_PES = 65536

export class PowerHardware implements TranslationHardware {
  readonly #memory: PhysicalMemory
  /** Translations are tagged with the PE. */
  readonly #cache = new Iotlb()
  readonly #faults = new FaultLog(MAX_PES)
  readonly #frozen = new Set<number>()
  readonly #windows = new Map<number, readonly [Window | null, Window | null]>()
  readonly #interrupts = new Map<number, InterruptSource>()
  #requesterTable = -1
  #checksInterrupts = false

  constructor(memory: PhysicalMemory) {
    this.#memory = memory
  }

  /** Base of the requester table: 65536 PE numbers, big-endian 16 bits. */
  setRequesterTable(firstPage: number, checksInterrupts: boolean): void {
    this.#requesterTable = firstPage
    this.#checksInterrupts = checksInterrupts
  }

  setWindows(pe: number, windows: readonly [Window | null, Window | null]): void {
    this.#windows.set(pe, windows)
    this.#cache.invalidateDomain(pe)
  }

  setInterruptSource(number: number, source: InterruptSource | null): void {
    if (source === null) this.#interrupts.delete(number)
    else this.#interrupts.set(number, source)
  }

  invalidate(pe: number, firstPage: number, pages: number): void {
    this.#cache.invalidatePages(pe, firstPage, pages)
  }

  /** Whether the PE of a requester is frozen: its registers then read all ones. */
  isFrozen(requester: number): boolean {
    return this.#frozen.has(this.#endpointOf(requester))
  }

  get faults(): readonly FaultRecord[] {
    return this.#faults.records
  }

  /** Also thaws every frozen PE, as the reset does that ends an EEH recovery. */
  clearFaults(): void {
    this.#faults.clear()
    this.#frozen.clear()
  }

  translate(requester: number, page: number, write: boolean): number {
    const pe = this.#endpointOf(requester)
    if (this.#frozen.has(pe)) return -1
    const cached = this.#cache.lookup(pe, page, write ? WRITE : READ)
    if (cached !== -1) return cached
    const freeze = (reason: number): number => this.#freeze(pe, requester, page, write, reason)
    if (pe === NO_PE) return freeze(POWER_ERROR.noEndpoint)
    const second = page >= SELECT_WINDOW_1
    const offset = second ? page - SELECT_WINDOW_1 : page
    const window = this.#windows.get(pe)?.[second ? 1 : 0] ?? null
    if (window === null) return freeze(POWER_ERROR.noWindow)
    if (window.kind === 'bypass') return offset
    if (offset >= window.pages) return freeze(POWER_ERROR.outsideWindow)
    let table = window.table
    for (let level = window.levels; ; level -= 1) {
      const index = Math.floor(offset / 512 ** (level - 1)) & 511
      const low = swap(this.#memory.word(table, index * 2 + 1))
      if (low === -1) return freeze(POWER_ERROR.tableEntry)
      const target = swap(this.#memory.word(table, index * 2)) * 0x100000 + (low >>> 12)
      const rights = low & (READ | WRITE)
      if ((rights & (write ? WRITE : READ)) === 0) {
        return freeze(write ? POWER_ERROR.writeDenied : POWER_ERROR.readDenied)
      }
      if (level === 1) {
        this.#cache.fill(pe, page, target, rights)
        return target
      }
      table = target
    }
  }

  interrupt(requester: number, address: number, data: number): Interrupt | null {
    if (!this.#checksInterrupts) return readPlainMessage(address, data)
    const pe = this.#endpointOf(requester)
    if (this.#frozen.has(pe)) return null
    const source = this.#interrupts.get(data & 0xffff)
    if (source?.pe === pe) return { vector: source.vector, destination: source.destination }
    this.#freeze(pe, requester, address >>> 12, true, POWER_ERROR.foreignInterrupt)
    return null
  }

  #endpointOf(requester: number): number {
    const word = this.#memory.word(
      this.#requesterTable + (requester >>> 11),
      (requester & 2047) >>> 1,
    )
    const half = (requester & 1) === 0 ? word & 0xffff : (word >>> 16) & 0xffff
    return ((half & 0xff) << 8) | (half >>> 8)
  }

  #freeze(pe: number, requester: number, page: number, write: boolean, reason: number): number {
    if (pe !== NO_PE) this.#frozen.add(pe)
    this.#faults.record({ requester, page, write, reason, text: errorText(reason) })
    return -1
  }
}

/** Big-endian word as memory holds it; -1 (no memory) stays -1. */
function swap(word: number): number {
  if (word === -1) return -1
  const swapped = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
  return swapped >>> 0
}
