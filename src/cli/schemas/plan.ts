/** `plan --json`, and the parts of it that `claim --json` repeats. */
import * as v from 'valibot'
import { strength } from './group-list.ts'
import { device, findingMembers, groupId, result, unknownReasons } from './shared-shapes.ts'

export const owner: v.GenericSchema = v.pipe(
  v.strictObject({ uid: v.number(), gid: v.number(), name: v.string() }),
  v.description('the number as text where the user has no name'),
)

const safetyFinding: v.GenericSchema = v.strictObject({
  ...findingMembers,
  verdict: v.pipe(
    v.picklist(['refuse', 'warn', 'unknown']),
    v.description('refuse and unknown stand in the way unless allowed'),
  ),
  overridable: v.pipe(v.boolean(), v.description('--allow CODE can override it')),
  allowed: v.boolean(),
})

const write: v.GenericSchema = v.strictObject({
  path: v.string(),
  text: v.pipe(
    v.string(),
    v.description('the bytes; "chown UID:GID" or "chmod MODE" for the node of a group'),
  ),
})

const member = v.strictObject({
  name: v.string(),
  device: v.nullable(device),
  driver: v.nullable(v.string()),
  fate: v.pipe(
    v.picklist(['move', 'kept', 'stays']),
    v.description('move: gets the driver; kept: has it already; stays: is not touched'),
  ),
  services: v.nullable(v.array(v.strictObject({ kind: v.string(), name: v.string() }))),
  does: v.pipe(v.array(v.string()), v.description('what it does for the host now')),
  notSeen: v.pipe(v.array(v.string()), v.description('checks that could not be made')),
  will: v.string(),
  loses: v.pipe(v.array(v.string()), v.description('what the host loses')),
  unknown: unknownReasons,
})

export const planMembers: v.ObjectEntries = {
  verdict: v.picklist(['ready', 'nothing-to-do', 'refused']),
  driver: v.string(),
  owner: v.nullable(owner),
  reason: v.nullable(v.string()),
  allow: v.array(v.string()),
  confirmSeconds: v.nullable(v.number()),
  groups: v.array(
    v.strictObject({
      id: groupId,
      members: v.array(member),
      findings: v.array(safetyFinding),
      strength,
    }),
  ),
  findings: v.array(safetyFinding),
  loads: v.pipe(v.nullable(v.string()), v.description('driver whose module is loaded first')),
  steps: v.array(v.strictObject({ step: v.string(), writes: v.array(write) })),
}

export const plan: v.GenericSchema = result('Plan', { host: v.string(), ...planMembers })
