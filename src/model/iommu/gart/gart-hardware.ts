/**
 * The graphics aperture of AMD K8 processors as hardware (BIOS and Kernel Developer's Guide for AMD
 * Athlon 64 and Opteron, "GART"): addresses inside one aperture are translated by one table; all others
 * pass as they are. Requester ids mean nothing to it, which is why it cannot isolate.
 */
import type { FaultRecord, Interrupt, TranslationHardware } from '../../hardware/translation.ts'
import { readPlainMessage } from '../../hardware/interrupt-message.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { READ, WRITE } from '../domain.ts'
import { FaultLog } from '../hardware/fault-log.ts'
import { Iotlb } from '../hardware/iotlb.ts'

/** The aperture base and control registers. */
export interface Aperture {
  readonly firstPage: number
  readonly pages: number
  /** First page of the table. */
  readonly table: number
}

/** GART table walk error, in the northbridge's machine check status. */
const TABLE_WALK_ERROR = 5

export class GartHardware implements TranslationHardware {
  readonly #memory: PhysicalMemory
  readonly #aperture: Aperture
  readonly #cache = new Iotlb()
  /** The machine check register holds one error. */
  readonly #faults = new FaultLog(1)

  constructor(memory: PhysicalMemory, aperture: Aperture) {
    this.#memory = memory
    this.#aperture = aperture
  }

  /** GARTCacheControl.InvGart; it knows no finer command. */
  invalidate(): void {
    this.#cache.invalidateAll()
  }

  get faults(): readonly FaultRecord[] {
    return this.#faults.records
  }

  clearFaults(): void {
    this.#faults.clear()
  }

  translate(requester: number, page: number, write: boolean): number {
    const { firstPage, pages, table } = this.#aperture
    const index = page - firstPage
    if (index < 0 || index >= pages) return page
    const cached = this.#cache.lookup(0, page, READ)
    if (cached !== -1) return cached
    const entry = this.#memory.word(table + (index >>> 10), index & 1023)
    if (entry === -1 || (entry & 1) === 0) {
      const text = 'GART table walk error'
      this.#faults.record({ requester, page, write, reason: TABLE_WALK_ERROR, text })
      return -1
    }
    const target = ((entry >>> 4) & 0xff) * 0x100000 + (entry >>> 12)
    this.#cache.fill(0, page, target, READ | WRITE)
    return target
  }

  interrupt(_requester: number, address: number, data: number): Interrupt {
    return readPlainMessage(address, data)
  }
}
