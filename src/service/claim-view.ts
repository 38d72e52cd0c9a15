/** A claim as a person sees it: what was recorded, beside what is so now. */
import { type Fact, unknown } from '../base/fact.ts'
import type { Program } from '../isolation/live-host.ts'
import type { Protection } from '../isolation/ownership/protection.ts'
import type { ClaimOwner } from '../isolation/plan/request.ts'
import type { DeviceState, GroupState } from '../isolation/transaction/state.ts'
import type { ClaimRecord, ClaimState, StepFailure, WedgedDevice } from './claim-record.ts'

export interface ClaimView {
  readonly id: string
  /** `history`: of another boot; `damaged`: the record cannot be read. */
  readonly state: ClaimState | 'history' | 'damaged'
  readonly groups: readonly ClaimViewGroup[]
  /** The devices of all groups, as they were before the claim. */
  readonly devices: readonly DeviceState[]
  /** Null in a damaged record. */
  readonly driver: string | null
  readonly owner: ClaimOwner | null
  readonly reason: string | null
  readonly allowed: readonly string[]
  /** Milliseconds since 1970; null in a damaged record. */
  readonly madeAt: number | null
  /** The user who ran the command; null in a damaged record. */
  readonly madeBy: number | null
  /** Milliseconds since 1970; null: confirmed, or no confirmation is needed. */
  readonly confirmBy: number | null
  /** Programs that have one of the groups open. */
  readonly users: Fact<readonly Program[]>
  /** The weakest of all groups; null: the claim holds nothing (any more), or was not looked at. */
  readonly protection: Protection | null
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

/** What the record alone tells. */
export function recordedView(record: ClaimRecord): ClaimView {
  const { groups, wedged, left, failure, ...rest } = record
  return {
    id: rest.id,
    state: rest.state,
    groups: groups.map(({ before, target, fingerprint }) => ({
      before,
      target,
      group: before.group,
      fingerprint,
    })),
    devices: groups.flatMap(({ before }) => before.devices),
    driver: rest.driver,
    owner: rest.owner,
    reason: rest.reason,
    allowed: rest.allowed,
    madeAt: rest.madeAt,
    madeBy: rest.madeBy,
    confirmBy: rest.confirmBy,
    users: unknown('it was not looked at'),
    protection: null,
    changes: [],
    wedged,
    left,
    failure,
  }
}

/** Of another boot: what it held is the kernel's again. */
export function historyView(record: ClaimRecord): ClaimView {
  return { ...recordedView(record), state: 'history', confirmBy: null }
}

/** Of a record that cannot be read: that there is one, and no more. */
export function damagedView(id: string, damage: string): ClaimView {
  const why = `the record of the claim cannot be read: ${damage}`
  return {
    id,
    state: 'damaged',
    groups: [],
    devices: [],
    driver: null,
    owner: null,
    reason: null,
    allowed: [],
    madeAt: null,
    madeBy: null,
    confirmBy: null,
    users: unknown(why),
    protection: null,
    changes: [why],
    wedged: [],
    left: [],
    failure: null,
  }
}
