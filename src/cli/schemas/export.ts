/** `export --json` */
import * as v from 'valibot'
import { groupId, result } from './shared-shapes.ts'

export const exported: v.GenericSchema = result('Export', {
  host: v.string(),
  format: v.picklist(['qemu', 'libvirt', 'cdi', 'udev', 'modprobe']),
  groups: v.array(groupId),
  text: v.pipe(v.string(), v.description('what to paste or to save, as it is')),
  path: v.pipe(v.nullable(v.string()), v.description('where it usually goes; null = pasted')),
  notes: v.array(v.string()),
})
