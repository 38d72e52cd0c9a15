/** `capture --json`: what was written. The file itself has a format of its own. */
import * as v from 'valibot'
import { result } from './shared-shapes.ts'

export const capture: v.GenericSchema = result('Capture', {
  host: v.string(),
  file: v.string(),
  identifiers: v.pipe(v.boolean(), v.description('serial numbers and MAC addresses were kept')),
})
