/**
 * A claim, from the plan to the record that it is made: all groups, or nothing.
 *
 *     plan -> load the driver -> record -> (watch) -> steps, each recorded, taken, verified -> record: claimed
 *                                   |                    | a step fails
 *                                   |                    v
 *                                   '----- forget <- back to the recorded drivers and overrides
 */
import { IsogroupError } from '../base/errors.ts'
import { known } from '../base/fact.ts'
import { fingerprintOf } from '../isolation/ownership/fingerprint.ts'
import { findingsOf, type GroupPlan, type Plan } from '../isolation/plan/plan.ts'
import type { ClaimedGroup, ClaimRecord } from './claim-record.ts'
import { type ClaimView, recordedView } from './claim-view.ts'
import { goForward, type Stop } from './converge.ts'
import { errnoOf } from './errno-of.ts'
import { giveBack } from './give-back.ts'
import type { ClaimOutcome } from './outcome.ts'
import type { Parts } from './parts.ts'
import { stepperOf } from './stepper-of.ts'

/**
 * Carries a plan out that was made of facts as they are now. Under the lock.
 * @param begun see Isolator.claim
 * @throws IsogroupError as Isolator.claim does: nothing was changed then
 */
export async function claimGroups(
  parts: Parts,
  plan: Plan,
  begun: (id: string) => Promise<void>,
): Promise<ClaimOutcome> {
  if (plan.verdict !== 'ready') return { kind: plan.verdict, plan }
  const { host, store, clock } = parts
  if (plan.loads !== null) await host.loadDriver(plan.loads)
  const record = store.save(newClaim(parts, plan))
  try {
    await begun(record.id)
  } catch (cause) {
    store.forget(record.id)
    throw cause
  }
  const targets = record.groups.map(({ target }) => target)
  const stop = await goForward(stepperOf(parts, record.id), targets)
  if (stop !== null) return rollBack(parts, plan, record, stop)
  try {
    const confirmBy = deadlineOf(record.confirmSeconds, clock.now())
    const claimed = store.save({ ...record, state: 'claimed', confirmBy })
    return { kind: 'done', plan, claim: freshView(claimed) }
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    const evidence = [cause.message]
    const failure = { step: 'write the record of the claim', code: errnoOf(cause), evidence }
    return rollBack(parts, plan, record, { failure, wedged: null })
  }
}

function newClaim(parts: Parts, plan: Plan): ClaimRecord {
  const { host, clock, newId, uid } = parts
  const { request, groups } = plan
  const now = clock.now()
  const allowed = findingsOf(plan).flatMap((finding) => (finding.allowed ? [finding.code] : []))
  return {
    id: newId(),
    sequence: 0,
    state: 'claiming',
    bootId: host.bootId(),
    madeAt: now,
    madeBy: uid,
    driver: request.driver,
    owner: request.owner,
    reason: request.reason,
    allowed: [...new Set(allowed)],
    confirmSeconds: request.confirmSeconds,
    confirmBy: deadlineOf(request.confirmSeconds, now),
    groups: groups.map((group) => claimedGroup(parts, group)),
    wedged: [],
    failure: null,
    left: [],
  }
}

function claimedGroup({ host, digest }: Parts, group: GroupPlan): ClaimedGroup {
  const { before, target } = group
  const addresses = group.members.flatMap(({ fn }) => (fn === null ? [] : [fn.address]))
  const members = host.identities(addresses)
  return { before, target, members, newcomers: [], fingerprint: fingerprintOf(members, digest) }
}

const SECOND = 1000

function deadlineOf(seconds: number | null, from: number): number | null {
  return seconds === null ? null : from + seconds * SECOND
}

/** A group that was just made has no user yet: one that had any was refused. */
function freshView(record: ClaimRecord): ClaimView {
  return { ...recordedView(record), users: known([]), protection: 'watched' }
}

async function rollBack(
  parts: Parts,
  plan: Plan,
  record: ClaimRecord,
  { failure, wedged }: Stop,
): Promise<ClaimOutcome> {
  const hanging = wedged === null ? [] : [wedged]
  const releasing = recorded(parts, { ...record, state: 'releasing', failure, wedged: hanging })
  const back = await giveBack(parts, releasing, hanging)
  if (back.failure === null) return { kind: 'rolled-back', plan, failure }
  const { left } = back
  return { kind: 'incomplete', plan, failure, left, claim: recordedView(back.record) }
}

/** Without it a crash is found as one of a claim that was being made, and leads to the same. */
function recorded({ store }: Parts, record: ClaimRecord): ClaimRecord {
  try {
    return store.save(record)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    return record
  }
}
