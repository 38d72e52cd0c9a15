/** `contexts --json`. */
import * as v from 'valibot'
import { address, groupId, result, unknownReasons } from './shared-shapes.ts'

const bytes = v.nullable(v.pipe(v.number(), v.minValue(0)))

export const contextList: v.GenericSchema = result('ContextList', {
  host: v.string(),
  programs: v.array(
    v.strictObject({
      pid: v.number(),
      name: v.string(),
      uid: v.number(),
      contexts: v.pipe(v.number(), v.description('with one, all groups share it')),
      groups: v.array(v.strictObject({ group: groupId, members: v.array(address) })),
      lockedBytes: v.pipe(bytes, v.description('all that the program has locked')),
      savedLockedBytes: v.pipe(
        bytes,
        v.description('what a context for each group would lock beside it; null: not known'),
      ),
      savedTableBytes: v.pipe(bytes, v.description('the same for tables of 4 KiB pages: at most')),
      unknown: unknownReasons,
    }),
  ),
})
