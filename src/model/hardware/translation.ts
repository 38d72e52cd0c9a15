/** What the memory fabric asks of an IOMMU: the hardware side, which only reads tables in memory. */

export interface FaultRecord {
  /** Requester id as the unit saw it: bus << 8 | devfn. */
  readonly requester: number
  /** Page number and offset of the access. */
  readonly page: number
  readonly write: boolean
  /** The hardware's own code: VT-d fault reason, AMD event code, ... */
  readonly reason: number
  readonly text: string
}

export interface Interrupt {
  readonly vector: number
  readonly destination: number
}

export interface TranslationHardware {
  /**
   * Translates one access within one page.
   * @returns the physical page number, or -1 when it was blocked; the fault is then recorded
   */
  translate(requester: number, page: number, write: boolean): number
  /**
   * A write of `data` to the interrupt window at `address` (32 bits).
   * @returns the interrupt delivered, or null when it was blocked and a fault recorded
   */
  interrupt(requester: number, address: number, data: number): Interrupt | null
  /**
   * Whether the requester is cut off after an error (POWER's EEH): its registers then read all ones.
   * Absent = this hardware never does that.
   */
  isFrozen?(requester: number): boolean
  /** Recorded faults, oldest first; the hardware keeps only so many until they are cleared. */
  readonly faults: readonly FaultRecord[]
  clearFaults(): void
}
