/** A release: everything back where it came from. Under the lock. */
import type { ClaimRecord } from './claim-record.ts'
import type { BegunStep } from './claim-store.ts'
import { historyView, recordedView } from './claim-view.ts'
import type { ReadableClaim } from './claim-store.ts'
import { type GivenBack, giveBack } from './give-back.ts'
import { hangingDevices } from './hanging.ts'
import { withAimedNewcomers } from './newcomers.ts'
import type { ReleaseOutcome } from './outcome.ts'
import type { Parts } from './parts.ts'

/**
 * Of a claim of another boot there is nothing to give back: it is forgotten.
 * @throws IsogroupError io: nothing was changed then
 */
export async function releaseClaim(
  parts: Parts,
  { record, lastStep }: ReadableClaim,
): Promise<ReleaseOutcome> {
  const { host, store } = parts
  if (record.bootId !== host.bootId()) {
    store.forget(record.id)
    return { kind: 'done', claim: historyView(record) }
  }
  const { failure, left, record: after } = await takeBack(parts, record, lastStep)
  if (failure === null) return { kind: 'done', claim: recordedView(record) }
  return { kind: 'incomplete', claim: recordedView(after), failure, left }
}

/** From wherever the claim is, also where a crash left it. @throws IsogroupError io: nothing was changed then */
export async function takeBack(
  parts: Parts,
  record: ClaimRecord,
  lastStep: BegunStep | null,
): Promise<GivenBack> {
  const { host, clock, store } = parts
  const hanging = await hangingDevices(host, clock, record, lastStep)
  const whole = withAimedNewcomers(parts, record)
  const releasing = store.save({ ...whole, state: 'releasing', wedged: hanging, left: [] })
  return giveBack(parts, releasing, hanging)
}
