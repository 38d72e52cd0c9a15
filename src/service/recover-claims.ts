/**
 * After a crash: what was cut short is finished or undone, from what is so on the host. Under the lock.
 *
 *     claiming      all targets reached -> claimed; else back
 *     claimed       back, when nobody confirmed it in time; else left alone
 *     releasing     back
 *     incomplete    back, once more
 *     other boot    forgotten: the kernel has given every device a driver of its own choice since
 */
import { IsogroupError } from '../base/errors.ts'
import { missing, unmet } from '../isolation/transaction/unmet.ts'
import { type ClaimRecord, heldAddresses, type WedgedDevice } from './claim-record.ts'
import type { DamagedClaim, ReadableClaim, StoredClaim } from './claim-store.ts'
import { damagedView, historyView, recordedView } from './claim-view.ts'
import { isUnconfirmed } from './confirmation.ts'
import { hangingDevices } from './hanging.ts'
import type { RecoverOutcome } from './outcome.ts'
import type { Parts } from './parts.ts'
import { takeBack } from './release-claim.ts'

/** One claim that cannot be recovered does not keep the others from it. */
export async function recoverClaims(parts: Parts): Promise<readonly RecoverOutcome[]> {
  const outcomes: RecoverOutcome[] = []
  for (const stored of parts.store.all()) {
    const outcome = await recoverOne(parts, stored)
    if (outcome !== null) outcomes.push(outcome)
  }
  parts.store.sweep()
  return outcomes
}

async function recoverOne(parts: Parts, stored: StoredClaim): Promise<RecoverOutcome | null> {
  if (stored.record === null) return damaged(parts, stored)
  try {
    return await recoverRecord(parts, stored)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    return { claim: recordedView(stored.record), did: 'incomplete', left: [cause.message] }
  }
}

async function recoverRecord(
  parts: Parts,
  { record, lastStep }: ReadableClaim,
): Promise<RecoverOutcome | null> {
  const { host, store, clock } = parts
  if (record.bootId !== host.bootId()) {
    store.forget(record.id)
    return { claim: historyView(record), did: 'history', left: [] }
  }
  const isLate = isUnconfirmed(record, clock.now())
  if (record.state === 'claimed' && !isLate) return null
  if (record.state === 'claiming' && !isLate) {
    const hanging = await hangingDevices(host, clock, record, lastStep)
    if (isReached(parts, record, hanging)) {
      const claimed = store.save({ ...record, state: 'claimed' })
      return { claim: recordedView(claimed), did: 'finished', left: [] }
    }
  }
  const { failure, left, record: after } = await takeBack(parts, record, lastStep)
  return { claim: recordedView(after), did: failure === null ? 'undone' : 'incomplete', left }
}

function isReached(
  { host }: Parts,
  record: ClaimRecord,
  hanging: readonly WedgedDevice[],
): boolean {
  const held = heldAddresses(record)
  if (hanging.some(({ address }) => held.includes(address))) return false
  return record.groups.every(({ target }) => {
    const now = host.state(target.devices.map(({ address }) => address))
    return missing(target, now).length === 0 && unmet(target, now).length === 0
  })
}

function damaged({ directory }: Parts, { id, damage }: DamagedClaim): RecoverOutcome {
  const line = `the record of claim ${id} in ${directory.place} cannot be read: where its devices came from is not known`
  return { claim: damagedView(id, damage), did: 'incomplete', left: [line] }
}
