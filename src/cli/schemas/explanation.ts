/** `explain --json` */
import * as v from 'valibot'
import type { RemedyCode } from '../../isolation/explain/explanation.ts'
import { address, finding, groupId, join, result } from './shared-shapes.ts'

/** All of them; documented in docs/reference/json.md. */
export const REMEDY_CODES: readonly RemedyCode[] = [
  'move-card',
  'firmware-acs',
  'config-acs',
  'newer-kernel',
  'drop-argument',
  'missing-quirk',
  'one-chip',
  'bridge-hides',
  'shared-id',
  'vmd-off',
  'read-more',
  'not-override',
]

export const explanation: v.GenericSchema = result('Explanation', {
  host: v.string(),
  kernel: v.string(),
  subjects: v.pipe(v.array(address), v.minLength(1), v.maxLength(2)),
  together: v.boolean(),
  groupId: v.nullable(groupId),
  members: v.array(address),
  chain: v.array(join),
  apart: v.array(
    v.strictObject({
      device: address,
      by: address,
      reason: v.string(),
      evidence: v.array(v.string()),
    }),
  ),
  actual: v.strictObject({
    ids: v.array(v.nullable(groupId)),
    agrees: v.nullable(v.boolean()),
    note: v.string(),
  }),
  remedies: v.array(
    v.strictObject({
      code: v.picklist(REMEDY_CODES),
      text: v.string(),
      argument: v.nullable(v.pipe(v.string(), v.description('kernel argument to add or to drop'))),
      about: v.array(address),
    }),
  ),
  warnings: v.array(finding),
})
