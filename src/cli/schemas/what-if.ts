/** `what-if --json` */
import * as v from 'valibot'
import { groupMembers, strength, ungroupedDevice, viability } from './group-list.ts'
import { address, groupId, result, verdict } from './shared-shapes.ts'

const device = v.pipe(v.string(), v.description('an address, or "new1" of an added device'))
const port = v.pipe(v.string(), v.description('the same, or a root bus: "0000:00"'))

const change = v.variant('kind', [
  v.strictObject({ kind: v.literal('acs'), on: v.boolean(), port: device }),
  v.strictObject({ kind: v.literal('move'), device, port }),
  v.strictObject({ kind: v.literal('add'), what: v.string(), port }),
  v.strictObject({ kind: v.literal('remove'), device }),
  v.strictObject({ kind: v.literal('vfs'), device, count: v.number() }),
  v.strictObject({ kind: v.literal('bind'), device, driver: v.nullable(v.string()) }),
  v.strictObject({ kind: v.literal('kernel'), version: v.string() }),
  v.strictObject({ kind: v.literal('intremap'), on: v.boolean() }),
  v.strictObject({ kind: v.literal('iommu'), on: v.boolean() }),
])

const state = v.strictObject({
  id: v.pipe(v.nullable(groupId), v.description('null: a function without a group')),
  devices: v.array(v.string()),
  strength,
  viability: v.nullable(viability),
})

const side = v.strictObject({
  kernel: v.nullable(v.string()),
  groups: v.array(v.strictObject(groupMembers)),
  ungrouped: v.array(ungroupedDevice),
})

export const whatIf: v.GenericSchema = result('WhatIf', {
  host: v.string(),
  changes: v.array(change),
  before: side,
  after: side,
  differences: v.array(
    v.strictObject({
      kind: v.picklist(['regrouped', 'added', 'removed', 'changed']),
      before: v.array(state),
      after: v.array(state),
      strength: v.array(
        v.strictObject({ bit: v.string(), before: verdict, after: verdict, evidence: v.string() }),
      ),
      viability: v.nullable(v.strictObject({ before: v.string(), after: v.string() })),
    }),
  ),
  added: v.array(
    v.strictObject({
      name: v.pipe(v.string(), v.description('what changes call it: "new1"')),
      what: v.string(),
      address,
    }),
  ),
  renamed: v.pipe(
    v.array(v.strictObject({ before: address, after: v.nullable(address) })),
    v.description('functions that have another address after the changes; null: gone'),
  ),
  notes: v.pipe(v.array(v.string()), v.description('how the changes were understood')),
  assumed: v.pipe(
    v.array(v.string()),
    v.description('not known of the host, and assumed on both sides'),
  ),
  deviations: v.pipe(
    v.array(address),
    v.description('devices that the host groups otherwise than its twin'),
  ),
})
