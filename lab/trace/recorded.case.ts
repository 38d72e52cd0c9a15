/** Traces of real kernels that were kept, for tests that need no lab. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { KernelSeries } from '../kernels.ts'
import type { Trace } from './record.ts'

export function recordedTrace(series: KernelSeries): Trace {
  const packed = readFileSync(new URL(`recorded/${series}.json.gz`, import.meta.url))
  return JSON.parse(gunzipSync(packed).toString('utf8')) as Trace
}
