/** The way back of a claim, from wherever it is: after a failure, for a release, and in a recovery. */
import { IsogroupError } from '../base/errors.ts'
import { replaced } from '../isolation/ownership/fingerprint.ts'
import type { ClaimRecord, StepFailure, WedgedDevice } from './claim-record.ts'
import { goBack } from './converge.ts'
import { errnoOf } from './errno-of.ts'
import type { Parts } from './parts.ts'
import { takeStep } from './step.ts'
import { stepperOf } from './stepper-of.ts'

export interface GivenBack {
  /** As it is recorded now; of one that is forgotten, as it was last. */
  readonly record: ClaimRecord
  /** Null: everything is back, and the claim is forgotten. */
  readonly failure: StepFailure | null
  readonly left: readonly string[]
}

/**
 * Gives everything back that is still there, and forgets the claim when nothing is left of it.
 * @param record saved as `releasing` before the first step @param hanging devices that are left alone
 */
export async function giveBack(
  parts: Parts,
  record: ClaimRecord,
  hanging: readonly WedgedDevice[],
): Promise<GivenBack> {
  const { host } = parts
  const then = record.groups.flatMap(({ members }) => members)
  const others = replaced(then, host.identities(then.map(({ address }) => address)))
  const targets = record.groups.map(({ before }) => before)
  const back = await goBack(stepperOf(parts, record.id), targets, hanging, others)
  if (back.failure === null) {
    await offerHomeless(parts, record)
    return forgotten(parts, record)
  }
  const { left, failure, wedged } = back
  return {
    record: kept(parts, { ...record, state: 'incomplete', left, failure, wedged }),
    failure,
    left,
  }
}

/** Newcomers that the guard took before any driver did: the kernel would have offered them to all. */
async function offerHomeless(parts: Parts, { id, groups }: ClaimRecord): Promise<void> {
  const stepper = stepperOf(parts, id)
  for (const { before, newcomers } of groups) {
    const homeless = before.devices.filter(
      ({ address, driver }) => driver === null && newcomers.includes(address),
    )
    for (const { address } of homeless) {
      // Nobody has to take it, and one that has gone meanwhile needs no driver.
      await takeStep(stepper, { kind: 'offer', address }, [address])
    }
  }
}

/** Devices are back even when the record cannot be removed: it is found to be met the next time. */
function forgotten({ store, directory }: Parts, record: ClaimRecord): GivenBack {
  try {
    store.forget(record.id)
    return { record, failure: null, left: [] }
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    const failure = { step: 'remove the record', code: errnoOf(cause), evidence: [cause.message] }
    const left = [`all devices are back, but the record stays in ${directory.place}`]
    return { record, failure, left }
  }
}

/** What cannot be written down is still told. */
function kept({ store }: Parts, record: ClaimRecord): ClaimRecord {
  try {
    return store.save(record)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    return record
  }
}
