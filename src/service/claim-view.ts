/** A claim as a person sees it: what was recorded, beside what is so now. */
import type { Fact } from '../base/fact.ts'
import type { Program } from '../isolation/live-host.ts'
import type { Protection } from '../isolation/ownership/protection.ts'
import type { ClaimOwner } from '../isolation/plan/request.ts'
import type { DeviceState, GroupState } from '../isolation/transaction/state.ts'
import type { ClaimState, StepFailure, WedgedDevice } from './claim-record.ts'

export interface ClaimView {
  readonly id: string
  /** `history`: of another boot; `damaged`: the record cannot be read. */
  readonly state: ClaimState | 'history' | 'damaged'
  readonly groups: readonly ClaimViewGroup[]
  /** The devices of all groups, as they were before the claim. */
  readonly devices: readonly DeviceState[]
  readonly driver: string
  readonly owner: ClaimOwner | null
  readonly reason: string | null
  readonly allowed: readonly string[]
  /** Milliseconds since 1970. */
  readonly madeAt: number
  /** The user who ran the command. */
  readonly madeBy: number
  /** Milliseconds since 1970; null: confirmed, or no confirmation is needed. */
  readonly confirmBy: number | null
  /** Programs that have one of the groups open. */
  readonly users: Fact<readonly Program[]>
  /** The weakest of all groups. */
  readonly protection: Protection
  /** Why the claim no longer fits the host, a line each; empty when it does. */
  readonly changes: readonly string[]
  readonly wedged: readonly WedgedDevice[]
  /** What could not be given back at the last try. */
  readonly left: readonly string[]
  readonly failure: StepFailure | null
}

export interface ClaimViewGroup {
  readonly before: GroupState
  readonly target: GroupState
  /** Id of the group now; null: its devices are gone, or in none. */
  readonly group: string | null
  readonly fingerprint: string
}
