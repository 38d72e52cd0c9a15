/**
 * The service that gives groups to users and takes them back: the only writer of records, and the only one
 * that asks a host to change.
 */
import type { Plan } from '../isolation/plan/plan.ts'
import type { ClaimRequest } from '../isolation/plan/request.ts'
import type { ClaimView } from './claim-view.ts'
import type { ClaimOutcome, RecoverOutcome, ReleaseOutcome } from './outcome.ts'

export interface Isolator {
  /** Looks, and changes nothing. @throws IsogroupError not-found, usage, io */
  plan(request: ClaimRequest): Plan
  /**
   * Plans again and carries it out: all groups, or nothing.
   * @param begun called when the claim is recorded and before the first step, with its id: who watches over a
   * confirmation is started here. When it fails, so does the claim, and nothing was changed.
   * @throws IsogroupError refused (the driver cannot be loaded, others are writing), not-found, io; nothing was changed then
   */
  claim(request: ClaimRequest, begun?: (id: string) => Promise<void>): Promise<ClaimOutcome>
  /**
   * Gives everything back that a claim took.
   * @param selector id of a claim, the beginning of one, or the address of a device in its groups
   * @throws IsogroupError not-found, ambiguous, refused, io; nothing was changed then
   */
  release(selector: string): Promise<ReleaseOutcome>
  /**
   * The same, if the time for its confirmation has run out: what a watchdog does.
   * @returns null: it was confirmed, or is gone, or still has time
   */
  releaseUnconfirmed(id: string): Promise<ReleaseOutcome | null>
  /** Every claim, the oldest first. @throws IsogroupError permission, io */
  claims(): readonly ClaimView[]
  /** @param selector null = the one that waits for it @throws IsogroupError not-found, ambiguous, refused (too late), io */
  confirm(selector: string | null): Promise<ClaimView>
  /** Finishes or undoes what was cut short, and what was not confirmed. Claims with nothing to do are not listed. */
  recover(): Promise<readonly RecoverOutcome[]>
}
