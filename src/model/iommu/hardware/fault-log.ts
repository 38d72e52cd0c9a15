/**
 * Where a unit records faults: a few registers (VT-d) or a ring in memory (AMD-Vi). When all are taken,
 * what comes next is lost and only a flag tells so, until software clears them.
 */
import type { FaultRecord } from '../../hardware/translation.ts'

export class FaultLog {
  readonly records: FaultRecord[] = []
  /** Faults were lost (VT-d: FSTS.PFO; AMD-Vi: EventOverflow). */
  overflowed = false
  readonly #limit: number

  /** @param limit records kept, 1 and more */
  constructor(limit: number) {
    this.#limit = limit
  }

  record(fault: FaultRecord): void {
    if (this.records.length < this.#limit) this.records.push(fault)
    else this.overflowed = true
  }

  clear(): void {
    this.records.length = 0
    this.overflowed = false
  }
}
