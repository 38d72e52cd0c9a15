/** `guard --json`: one object for each event. */
import * as v from 'valibot'
import { address, groupId, result } from './shared-shapes.ts'

export const guardEvent: v.GenericSchema = result('GuardEvent', {
  host: v.string(),
  at: v.pipe(v.string(), v.description('ISO 8601, UTC')),
  event: v.pipe(
    v.picklist([
      'protection',
      'newcomer',
      'repair',
      'alarm',
      'well',
      'unconfirmed',
      'trouble',
      'lost',
    ]),
    v.description('decides which of the others are there'),
  ),
  claim: v.optional(v.string()),
  group: v.pipe(v.optional(v.nullable(groupId)), v.description('null: its devices are gone')),
  protection: v.optional(v.picklist(['sealed', 'watched', 'broken'])),
  address: v.optional(address),
  ids: v.optional(v.string()),
  driver: v.pipe(
    v.optional(v.nullable(v.string())),
    v.description('the one that was faster than the guard; null: none was'),
  ),
  step: v.pipe(v.optional(v.string()), v.description('what was done')),
  why: v.optional(v.array(v.string())),
  left: v.pipe(v.optional(v.array(v.string())), v.description('what could not be given back')),
  what: v.optional(v.string()),
})
