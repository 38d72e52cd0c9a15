/** `predict --json` */
import * as v from 'valibot'
import { address, finding, groupId, join, result } from './shared-shapes.ts'

export const prediction: v.GenericSchema = result('Prediction', {
  host: v.string(),
  kernel: v.pipe(v.string(), v.description('the version whose rules were used: "6.12"')),
  groups: v.array(
    v.strictObject({
      devices: v.array(address),
      because: v.pipe(v.array(join), v.description('one less than there are devices')),
    }),
  ),
  differences: v.array(
    v.strictObject({
      kind: v.picklist(['joined', 'split', 'ungrouped']),
      devices: v.array(address),
      groups: v.array(groupId),
      explanation: v.string(),
      undecided: v.pipe(v.boolean(), v.description('an unknown fact would explain it')),
    }),
  ),
  compared: v.pipe(v.boolean(), v.description('the host has groups of its own to compare with')),
  unknown: v.array(
    v.strictObject({ device: address, fact: v.string(), why: v.string(), effect: v.string() }),
  ),
  ungrouped: v.array(v.strictObject({ device: address, why: v.string() })),
  warnings: v.array(finding),
})
