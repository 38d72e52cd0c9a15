/** What came of asking for something: every answer is a value, so that none can be overlooked. */
import type { Plan } from '../isolation/plan/plan.ts'
import type { StepFailure } from './claim-record.ts'
import type { ClaimView } from './claim-view.ts'

/**
 * - `done`: every group is as the plan says, verified
 * - `nothing-to-do`, `refused`: nothing was changed
 * - `rolled-back`: a step failed, and the host is as it was before
 * - `incomplete`: a step failed, and not all of it could be undone; the record is kept for `recover`
 */
export type ClaimOutcome =
  | { readonly kind: 'done'; readonly plan: Plan; readonly claim: ClaimView }
  | { readonly kind: 'nothing-to-do' | 'refused'; readonly plan: Plan }
  | { readonly kind: 'rolled-back'; readonly plan: Plan; readonly failure: StepFailure }
  | {
      readonly kind: 'incomplete'
      readonly plan: Plan
      readonly claim: ClaimView
      readonly failure: StepFailure
      /** What is not as it was, in words. */
      readonly left: readonly string[]
    }

/** `claim`: as it was before it was released; of one that is incomplete, as it is now. */
export type ReleaseOutcome =
  | { readonly kind: 'done'; readonly claim: ClaimView }
  | {
      readonly kind: 'incomplete'
      readonly claim: ClaimView
      readonly failure: StepFailure
      readonly left: readonly string[]
    }

/**
 * - `finished`: all was done, only the record did not say so
 * - `undone`: everything is as it was before the claim
 * - `history`: of another boot; nothing was done but to forget it
 * - `incomplete`: something could not be given back
 */
export interface RecoverOutcome {
  readonly claim: ClaimView
  readonly did: 'finished' | 'undone' | 'history' | 'incomplete'
  readonly left: readonly string[]
}
