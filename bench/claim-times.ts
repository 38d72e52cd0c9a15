/** What is measured in the guest, in milliseconds: one list entry for each round. */
export interface ClaimTimes {
  /** A group of four members. */
  readonly four: {
    /** `isogroup claim`, the whole process. */
    readonly isogroup: readonly number[]
    /** The same writes by a minimal program. */
    readonly writes: readonly number[]
    /** Node, doing nothing. */
    readonly node: readonly number[]
    /** Once for each device; empty when it is not there. */
    readonly driverctl: readonly number[]
    readonly devbind: readonly number[]
  }
  /** So many groups of one virtual function each, in one transaction. */
  readonly many: readonly { readonly members: number; readonly runs: readonly number[] }[]
}
