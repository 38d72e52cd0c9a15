/**
 * Claims that undo themselves: unless somebody confirms in time, which shows that the way to the host is still
 * there. The clock is the host's; one that is set moves the end with it.
 */
import { IsogroupError } from '../base/errors.ts'
import type { ClaimRecord } from './claim-record.ts'
import type { StoredClaim } from './claim-store.ts'
import { type ClaimView, recordedView } from './claim-view.ts'
import { findClaim } from './find-claim.ts'
import type { Parts } from './parts.ts'

/** Whether the time to confirm has run out. @param now milliseconds since 1970 */
export function isUnconfirmed({ confirmBy }: Pick<ClaimRecord, 'confirmBy'>, now: number): boolean {
  return confirmBy !== null && now >= confirmBy
}

/** Under the lock. @throws IsogroupError not-found, ambiguous, refused, io */
export function confirmClaim(parts: Parts, selector: string | null): ClaimView {
  const { store, clock, host } = parts
  const all = store.all()
  const record =
    selector === null ? theWaiting(all, host.bootId()) : findClaim(all, host, selector).record
  if (record.bootId !== host.bootId()) throw tooLate(record, 'it is of another boot')
  if (record.state !== 'claimed') throw tooLate(record, `it is ${record.state}`)
  if (record.confirmBy === null) return recordedView(record)
  if (isUnconfirmed(record, clock.now())) throw tooLate(record, 'its time has run out')
  return recordedView(store.save({ ...record, confirmBy: null }))
}

function theWaiting(all: readonly StoredClaim[], bootId: string): ClaimRecord {
  const waiting = all.flatMap(({ record }) =>
    record?.bootId === bootId && record.state === 'claimed' && record.confirmBy !== null
      ? [record]
      : [],
  )
  const [first, second] = waiting
  if (first === undefined) {
    throw new IsogroupError('not-found', 'no claim waits for a confirmation', 'isogroup claims')
  }
  if (second === undefined) return first
  const ids = waiting.map(({ id }) => id)
  throw new IsogroupError(
    'ambiguous',
    `${String(ids.length)} claims wait for a confirmation: ${ids.join(', ')}`,
    `name one: isogroup confirm ${first.id}`,
  )
}

function tooLate({ id }: ClaimRecord, why: string): IsogroupError {
  return new IsogroupError(
    'refused',
    `claim ${id} cannot be confirmed: ${why}`,
    'isogroup recover undoes what is left of it; then claim again',
  )
}
