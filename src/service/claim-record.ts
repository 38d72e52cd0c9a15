/**
 * What is remembered of a claim: enough to give everything back, whatever happens, and to say whose it is.
 *
 *                 +----------+  every step verified   +---------+
 *     (begin) --> | claiming | ---------------------> | claimed |
 *                 +----------+                        +---------+
 *                      | a step failed, a crash            | release, no confirmation in time
 *                      v                                   v
 *                 +-----------+ <--------------------------+
 *                 | releasing | --> (all given back: forgotten)
 *                 +-----------+
 *                      | something could not be given back
 *                      v
 *                 +------------+  recover, release
 *                 | incomplete | -----------------> releasing
 *                 +------------+
 *
 * The record says what was wanted and where it came from. Where the devices are is never taken from it: that is
 * on the host, and read anew each time.
 */
import type { KeptGroup } from '../isolation/ownership/kept-group.ts'
import type { ClaimOwner } from '../isolation/plan/request.ts'

export type ClaimState = 'claiming' | 'claimed' | 'releasing' | 'incomplete'

export interface ClaimRecord {
  /** "3f9c1a07" */
  readonly id: string
  /** Counts the changes of this record, and the steps between them: the highest is the newest. */
  readonly sequence: number
  readonly state: ClaimState
  /** The boot in which it was made: in any other it is history. */
  readonly bootId: string
  /** Milliseconds since 1970. */
  readonly madeAt: number
  /** The user who ran the command. */
  readonly madeBy: number
  readonly driver: string
  readonly owner: ClaimOwner | null
  readonly reason: string | null
  /** Codes of findings that were in the way and were allowed. */
  readonly allowed: readonly string[]
  /** How long a confirmation may take, in seconds; null: none is needed. */
  readonly confirmSeconds: number | null
  /** Undone unless confirmed until then, in milliseconds since 1970; null: confirmed, or none is needed. */
  readonly confirmBy: number | null
  /** In the order in which they were claimed. */
  readonly groups: readonly ClaimedGroup[]
  /** Devices for which a step did not come back. */
  readonly wedged: readonly WedgedDevice[]
  /** What stopped it; null: nothing did. */
  readonly failure: StepFailure | null
  /** What could not be given back at the last try, in words. */
  readonly left: readonly string[]
}

export interface ClaimedGroup extends KeptGroup {
  /** Of the members, whatever they are called now (isolation/ownership/fingerprint.ts). */
  readonly fingerprint: string
}

/** A device that hangs in the kernel: nothing is tried with it while it does. */
export interface WedgedDevice {
  readonly address: string
  /** "unbind 0000:01:00.0 from e1000e" */
  readonly step: string
  /** The file that was being written to. */
  readonly path: string
  readonly evidence: readonly string[]
}

/** Why a claim or a release did not get where it was meant to. */
export interface StepFailure {
  /** What was being done: "unbind 0000:01:00.0 from nvidia", "write the record of the claim". */
  readonly step: string
  /** Errno by name; "UNVERIFIED": the kernel said yes, and it is not so. */
  readonly code: string
  readonly evidence: readonly string[]
}

/** Addresses of all functions that the claim holds. */
export function heldAddresses({ groups }: Pick<ClaimRecord, 'groups'>): readonly string[] {
  return groups.flatMap(({ before }) => before.devices.map(({ address }) => address))
}
