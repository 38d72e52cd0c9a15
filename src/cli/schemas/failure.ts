/** What every command prints with --json when it fails. */
import * as v from 'valibot'
import { EXIT_OF } from '../failure.ts'

export const failure: v.GenericSchema = v.strictObject({
  apiVersion: v.literal('isogroup/v1'),
  error: v.strictObject({
    code: v.pipe(v.picklist([...Object.keys(EXIT_OF), 'internal']), v.description('see errors.md')),
    message: v.string(),
    hint: v.pipe(v.string(), v.description('what to do next; may be empty')),
  }),
})
