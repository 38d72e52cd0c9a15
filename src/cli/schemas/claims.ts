/** `claims --json`, and the claims in what `claim`, `release`, `confirm` and `recover` print. */
import * as v from 'valibot'
import { owner, planMembers } from './plan.ts'
import { address, groupId, result, unknownReasons } from './shared-shapes.ts'

const deviceState = v.strictObject({
  address,
  present: v.boolean(),
  driver: v.nullable(v.string()),
  override: v.nullable(v.string()),
  autoprobe: v.pipe(v.nullable(v.boolean()), v.description('null without SR-IOV')),
})

const groupState = v.strictObject({
  group: v.nullable(groupId),
  devices: v.array(deviceState),
  node: v.nullable(
    v.strictObject({
      uid: v.number(),
      gid: v.number(),
      mode: v.pipe(v.number(), v.description('permission bits as a number: 384 is 0600')),
    }),
  ),
})

const failure = v.strictObject({
  step: v.string(),
  code: v.pipe(
    v.string(),
    v.description('errno by name; UNVERIFIED: the kernel accepted the step, and it is not so'),
  ),
  evidence: v.array(v.string()),
})

const program = v.strictObject({
  pid: v.number(),
  name: v.string(),
  uid: v.number(),
  file: v.string(),
})

const time = v.pipe(v.string(), v.description('ISO 8601, UTC'))

const claim = v.strictObject({
  id: v.string(),
  state: v.pipe(
    v.picklist(['claiming', 'claimed', 'releasing', 'incomplete', 'history', 'damaged']),
    v.description('all but claimed: see `isogroup recover`; history: of an earlier boot'),
  ),
  groups: v.array(
    v.strictObject({
      before: groupState,
      target: groupState,
      group: v.pipe(v.nullable(groupId), v.description('now; null when its devices are gone')),
      fingerprint: v.string(),
    }),
  ),
  devices: v.pipe(v.array(deviceState), v.description('as they were before the claim')),
  driver: v.pipe(v.nullable(v.string()), v.description('null in a damaged record')),
  owner: v.nullable(owner),
  reason: v.nullable(v.string()),
  allowed: v.array(v.string()),
  madeAt: v.pipe(v.nullable(time), v.description('null in a damaged record')),
  madeBy: v.pipe(
    v.nullable(v.number()),
    v.description('user id of who ran the command; null in a damaged record'),
  ),
  confirmBy: v.pipe(v.nullable(time), v.description('undone unless confirmed by then')),
  users: v.nullable(v.array(program)),
  protection: v.pipe(
    v.nullable(v.picklist(['sealed', 'watched', 'broken'])),
    v.description('null: the claim holds nothing any more, or was not looked at'),
  ),
  changes: v.pipe(v.array(v.string()), v.description('why it no longer fits the host')),
  wedged: v.pipe(
    v.array(
      v.strictObject({
        address,
        step: v.string(),
        path: v.string(),
        evidence: v.array(v.string()),
      }),
    ),
    v.description('devices for which a step hangs in the kernel'),
  ),
  left: v.pipe(v.array(v.string()), v.description('what could not be given back')),
  failure: v.nullable(failure),
  unknown: unknownReasons,
})

const host = v.string()

export const claimList: v.GenericSchema = result('ClaimList', { host, claims: v.array(claim) })

export const claimResult: v.GenericSchema = result('ClaimResult', {
  host,
  outcome: v.picklist(['done', 'nothing-to-do', 'refused', 'rolled-back', 'incomplete']),
  plan: v.strictObject(planMembers),
  claim: v.pipe(v.nullable(claim), v.description('null: no claim exists now')),
  failure: v.nullable(failure),
  left: v.array(v.string()),
})

export const releaseResult: v.GenericSchema = result('ReleaseResult', {
  host,
  outcome: v.picklist(['done', 'incomplete']),
  claim: v.pipe(claim, v.description('as it was before it was released')),
  failure: v.nullable(failure),
  left: v.array(v.string()),
})

export const confirmed: v.GenericSchema = result('Confirmed', { host, claim })

export const recovery: v.GenericSchema = result('Recovery', {
  host,
  claims: v.array(
    v.strictObject({
      claim,
      did: v.picklist(['finished', 'undone', 'history', 'incomplete']),
      left: v.array(v.string()),
    }),
  ),
})
