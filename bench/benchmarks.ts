/**
 * The benchmarks: what is compared with what, on how many functions, and the bound it must keep.
 *
 * Every figure is a ratio or a rate measured in one run on one machine; a time alone would say more
 * about the machine than about isogroup.
 */
import { ACCESS_BENCHMARKS } from './access.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import { CLAIM_BENCHMARKS } from './claims.ts'
import { type Contender, measurePeak, takeTurns } from './measure.ts'
import { MODEL_BOOT_BENCHMARKS } from './model-boot.ts'
import { MODEL_BENCHMARKS } from './model-translation.ts'
import {
  DEVBIND,
  DRIVERCTL,
  isogroupLs,
  LSPCI,
  onSys,
  type Peer,
  PROGRAM,
  whyNot,
} from './peers.ts'

const MANY = 10_400
const FEW = 1_040
/** Cost per function is compared between these two ... */
const SMALL = 5_200
const LARGE = 41_600
/** ... and shown for these. */
const BETWEEN = [FEW, MANY, 20_800]

export const BENCHMARKS: readonly Benchmark[] = [
  {
    ...against(LSPCI, MANY, 'same'),
    name: 'lspci',
    title: `ls --json / lspci -Dvmmnnk, ${MANY} functions`,
    bound: 1,
    goal: 0.7,
  },
  {
    ...against(DEVBIND, MANY, 'sys'),
    name: 'devbind',
    title: `ls --json / dpdk-devbind.py -s, ${MANY} functions`,
    bound: 0.15,
    goal: null,
  },
  {
    ...against(DRIVERCTL, FEW, 'sys'),
    name: 'driverctl',
    title: `ls --json / driverctl -v list-devices, ${FEW} functions`,
    bound: 1 / 50,
    goal: null,
  },
  {
    name: 'memory',
    title: `peak memory of ls --json, ${MANY} functions`,
    bound: 200,
    goal: null,
    unit: 'MiB',
    obstacle: () => null,
    measure: measureMemory,
  },
  {
    name: 'linear',
    title: `cost per function of ls --json, ${LARGE} / ${SMALL} functions`,
    bound: 1.25,
    goal: null,
    unit: '',
    obstacle: () => null,
    measure: measureLinearity,
  },
  {
    name: 'help',
    title: 'isogroup --help / node -e 0',
    bound: 1.4,
    goal: null,
    unit: '',
    obstacle: () => null,
    measure: measureHelp,
  },
  ...MODEL_BENCHMARKS,
  ...MODEL_BOOT_BENCHMARKS,
  ...CLAIM_BENCHMARKS,
  ...ACCESS_BENCHMARKS,
]

/** Wall time of `ls --json` over that of a peer, both in the same surroundings. */
function against(
  peer: Peer,
  functions: number,
  surroundings: 'same' | 'sys',
): Pick<Benchmark, 'unit' | 'tools' | 'obstacle' | 'measure'> {
  return {
    unit: '',
    tools: [peer.tool],
    obstacle: () => whyNot(peer),
    measure: (bench) => {
      const host = bench.host(functions)
      const own = isogroupLs(host, functions)
      return compare(bench, [
        surroundings === 'sys' ? onSys(host, own) : own,
        peer.contender(host, functions),
      ])
    },
  }
}

async function compare(
  bench: Bench,
  contenders: readonly [Contender, Contender],
): Promise<Measured> {
  const [own, peer] = await takeTurns(contenders, bench.rounds, bench.scratch)
  if (own === undefined || peer === undefined) throw new Error('nothing was measured')
  return {
    value: own.median / peer.median,
    details: [own, peer].map(({ name, median, runs }) => {
      const spread = `${Math.min(...runs).toFixed(0)} to ${Math.max(...runs).toFixed(0)}`
      return `${name}: ${median.toFixed(0)} ms (${spread})`
    }),
  }
}

async function measureMemory(bench: Bench): Promise<Measured> {
  const contender = isogroupLs(bench.host(MANY), MANY)
  const peaks: number[] = []
  for (let round = 0; round < 3; round += 1) {
    peaks.push(await measurePeak(contender, bench.scratch))
  }
  return {
    value: Math.max(...peaks),
    details: [`runs: ${peaks.map((one) => one.toFixed(0)).join(', ')} MiB`],
  }
}

async function measureLinearity(bench: Bench): Promise<Measured> {
  const shown = await costPerFunction(bench, BETWEEN)
  const compared = await costPerFunction(bench, [SMALL, LARGE])
  const [small = Number.NaN, large = Number.NaN] = compared.values()
  return {
    value: large / small,
    details: [...shown, ...compared]
      .sort(([a], [b]) => a - b)
      .map(([functions, cost]) => `${functions}: ${cost.toFixed(1)} us per function`),
  }
}

/** Microseconds beyond the time on an empty host, per function; the sizes are measured in turns. */
async function costPerFunction(
  bench: Bench,
  sizes: readonly number[],
): Promise<Map<number, number>> {
  bench.clear()
  const contenders = [0, ...sizes].map((functions) => isogroupLs(bench.host(functions), functions))
  const [empty, ...full] = await takeTurns(contenders, bench.rounds, bench.scratch)
  if (empty === undefined) throw new Error('nothing was measured')
  return new Map(
    sizes.map((functions, n) => [
      functions,
      (((full[n]?.median ?? Number.NaN) - empty.median) * 1000) / functions,
    ]),
  )
}

function measureHelp(bench: Bench): Promise<Measured> {
  const help: Contender = {
    name: 'isogroup --help',
    command: process.execPath,
    args: [PROGRAM, '--help'],
    verify: (stdout) => {
      if (!stdout.includes('explain')) throw new Error(`isogroup --help printed: ${stdout}`)
    },
  }
  const node: Contender = {
    name: 'node -e 0',
    command: process.execPath,
    args: ['-e', '0'],
    verify: () => undefined,
  }
  return compare({ ...bench, rounds: Math.max(bench.rounds, 25) }, [help, node])
}
