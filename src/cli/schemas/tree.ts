/** `tree --json` */
import * as v from 'valibot'
import { address, deviceMembers, groupId, result } from './shared-shapes.ts'

const treeDevice: v.GenericSchema = v.strictObject({
  ...deviceMembers,
  group: v.nullable(groupId),
  children: v.array(v.lazy(() => treeDevice)),
})

export const tree: v.GenericSchema = result('Tree', {
  host: v.string(),
  groups: v.pipe(
    v.picklist(['host', 'predicted']),
    v.description("the kernel's own groups, or predicted ones with ids that begin with ~"),
  ),
  buses: v.array(
    v.strictObject({
      bus: v.pipe(v.string(), v.description('"0000:00"')),
      host: v.nullable(address),
      devices: v.array(treeDevice),
    }),
  ),
})
