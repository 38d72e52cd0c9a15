/** `doctor --json` */
import * as v from 'valibot'
import { finding, result } from './shared-shapes.ts'

export const doctorReport: v.GenericSchema = result('DoctorReport', {
  host: v.string(),
  verdict: v.picklist(['ready', 'ready-with-warnings', 'not-ready', 'unknown']),
  findings: v.array(finding),
})
