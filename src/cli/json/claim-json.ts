/** Claims and what came of asking for them, as JSON: the values of the service, the plan in its own form. */
import type { LiveHost } from '../../isolation/live-host.ts'
import type { ClaimView } from '../../service/claim-view.ts'
import type { StepFailure } from '../../service/claim-record.ts'
import type { ClaimOutcome } from '../../service/outcome.ts'
import { same, shown } from './device-json.ts'
import { type PlanJson, planJson } from './plan-json.ts'

export interface ClaimJson extends Omit<ClaimView, 'users' | 'madeAt' | 'confirmBy'> {
  readonly users: readonly object[] | null
  /** ISO 8601, UTC; null in a damaged record. */
  readonly madeAt: string | null
  readonly confirmBy: string | null
  readonly unknown: Readonly<Record<string, string>>
}

export function claimJson(claim: ClaimView): ClaimJson {
  const unknown: Record<string, string> = {}
  return {
    ...claim,
    users: shown(unknown, 'users', claim.users, same),
    madeAt: isoText(claim.madeAt),
    confirmBy: isoText(claim.confirmBy),
    unknown,
  }
}

/** A clock can be set to anything, a record can hold anything. */
function isoText(time: number | null): string | null {
  if (time === null) return null
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

export interface ClaimResultJson {
  readonly outcome: ClaimOutcome['kind']
  readonly plan: PlanJson
  /** null: no claim exists now. */
  readonly claim: ClaimJson | null
  readonly failure: StepFailure | null
  readonly left: readonly string[]
}

export function claimResultJson(outcome: ClaimOutcome, host: LiveHost): ClaimResultJson {
  return {
    outcome: outcome.kind,
    plan: planJson(outcome.plan, host),
    claim: 'claim' in outcome ? claimJson(outcome.claim) : null,
    failure: 'failure' in outcome ? outcome.failure : null,
    left: 'left' in outcome ? outcome.left : [],
  }
}
