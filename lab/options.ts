/** The lab's command line. */
import { parseArgs } from 'node:util'
import { type KernelSeries, kernelSeriesAll } from './kernels.ts'

export type LabOptions = {
  /** A missing package or kernel is a failure instead of a visible skip. */
  readonly required: boolean
  /** Only cases whose name contains this. */
  readonly only?: string | undefined
  readonly kernel?: KernelSeries | undefined
  /** Only random machines, so many of them. */
  readonly random?: number | undefined
  /** Only what-if questions about random machines, so many of them. */
  readonly whatIf?: number | undefined
  /** Only traces against the model, of so many steps. */
  readonly trace?: number | undefined
  /** Only hot-plug into claimed groups, so many newcomers on each kernel. */
  readonly hotPlug?: number | undefined
  /** Only kills of claims and releases, everywhere and so many more at random moments. */
  readonly crash?: number | undefined
  /** Only a program that uses devices without an end, so many operations. */
  readonly soak?: number | undefined
  /** Seed of the first random machine, or of the trace, newcomers, kills or operations. */
  readonly seed?: number | undefined
  /** Keep the working directories of the guests. */
  readonly keep: boolean
}

export const labUsage: string = `usage: npm run lab -- [options]
  --required       a missing package or kernel is a failure, not a skip
  --only NAME      only cases whose name contains NAME
  --kernel SERIES  only this kernel (${kernelSeriesAll.join(' or ')})
  --random N       N random machines instead of the standing cases
  --what-if N      N what-if questions about random machines instead of the standing cases
  --trace N        N steps on a real kernel and on the model, instead of the standing cases
  --hot-plug N     N newcomers in claimed and other groups, instead of the standing cases
  --crash N        kills of claims and releases everywhere, and N more at random moments
  --soak N         N operations of a program on its devices; 8640000 = 24 hours, 100 a second
  --seed S         seed of the first random machine, the trace, newcomers, kills or operations
  --keep           keep the guests' working directories and console logs, and all evidence
`

export function parseLabOptions(args: readonly string[]): LabOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      required: { type: 'boolean', default: false },
      only: { type: 'string' },
      kernel: { type: 'string' },
      random: { type: 'string' },
      'what-if': { type: 'string' },
      trace: { type: 'string' },
      'hot-plug': { type: 'string' },
      crash: { type: 'string' },
      soak: { type: 'string' },
      seed: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  })
  return {
    required: values.required,
    only: values.only,
    kernel: values.kernel === undefined ? undefined : parseSeries(values.kernel),
    random: values.random === undefined ? undefined : parseCount('--random', values.random, 1),
    whatIf:
      values['what-if'] === undefined ? undefined : parseCount('--what-if', values['what-if'], 1),
    trace: values.trace === undefined ? undefined : parseCount('--trace', values.trace, 1),
    hotPlug:
      values['hot-plug'] === undefined
        ? undefined
        : parseCount('--hot-plug', values['hot-plug'], 1),
    crash: values.crash === undefined ? undefined : parseCount('--crash', values.crash, 0),
    soak: values.soak === undefined ? undefined : parseCount('--soak', values.soak, 1),
    seed: values.seed === undefined ? undefined : parseCount('--seed', values.seed, 0),
    keep: values.keep,
  }
}

function parseSeries(word: string): KernelSeries {
  const series = kernelSeriesAll.find((candidate) => candidate === word)
  if (series === undefined) {
    throw new Error(`--kernel ${word}: the lab has ${kernelSeriesAll.join(' and ')}`)
  }
  return series
}

function parseCount(option: string, word: string, lowest: number): number {
  const count = /^\d{1,9}$/.test(word) ? Number(word) : NaN
  if (Number.isNaN(count) || count < lowest) {
    throw new Error(`${option} ${word}: not a whole number from ${lowest}`)
  }
  return count
}
