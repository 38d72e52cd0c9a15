/**
 * `npm run bench -- [OPTION...]`: measures isogroup against its peers on synthetic hosts and prints
 * each ratio beside its bound. The programs compared run in turns, and medians are taken; figures
 * from a machine that does other things meanwhile are only a hint.
 *
 *     --only NAME        one benchmark; may be repeated
 *     --runs N           turns per benchmark (5)
 *     --json             one JSON object instead of text
 *     --check            exit code 1 when a bound is not kept
 *     --write N FOLDER   only write a synthetic host of N functions
 *
 * Peers and the compiler are installed where the lab would install its programs: as root on Debian or Ubuntu.
 */
import { existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareTools, type Tool } from '../lab/packages.ts'
import type { Bench, Benchmark, Measured } from './benchmark.ts'
import { BENCHMARKS } from './benchmarks.ts'
import { PROGRAM } from './peers.ts'
import { layOutHost } from './synthetic-host.ts'
import { writeHost } from './write-host.ts'

interface Result {
  readonly name: string
  readonly title: string
  readonly bound: number | null
  readonly goal: number | null
  readonly unit: string
  readonly value: number | null
  readonly kept: boolean | null
  readonly details: readonly string[]
  /** Why there is no value. */
  readonly skipped: string | null
}

/** What the largest hosts take, with room to spare. */
const BYTES_WANTED = 1.5 * 2 ** 30
const NAMES_WANTED = 1_800_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
})

process.exitCode = values.write ? writeOnly(positionals) : await benchmark()

function writeOnly([count = '', folder = '']: readonly string[]): number {
  if (!/^\d+$/.test(count) || folder === '') return complain('Usage: --write N FOLDER')
  if (existsSync(folder)) return complain(`Cannot write a host to ${folder}: it exists already`)
  writeHost(folder, layOutHost(Number(count)))
  return 0
}

async function benchmark(): Promise<number> {
  const rounds = Number(values.runs)
  if (!Number.isInteger(rounds) || rounds < 1) return complain(`Cannot run ${values.runs} times`)
  const unknown = values.only?.find((name) => BENCHMARKS.every((one) => one.name !== name))
  if (unknown !== undefined) {
    const names = BENCHMARKS.map((one) => one.name).join(', ')
    return complain(`There is no benchmark "${unknown}": ${names}`)
  }
  if (!existsSync(PROGRAM)) return complain(`Cannot find ${PROGRAM}: npm run build`)
  const folder = mkdtempSync(join(place(), 'isogroup-bench-'))
  const ends: (() => Promise<unknown>)[] = []
  const bench = benchIn(folder, rounds, ends)
  try {
    const results: Result[] = []
    const wanted = BENCHMARKS.filter(({ name }) => values.only?.includes(name) ?? true)
    await installTools(wanted.flatMap(({ tools = [] }) => tools))
    for (const one of wanted) {
      const result = await runBenchmark(one, bench)
      if (!values.json) process.stdout.write(describe(result))
      results.push(result)
    }
    if (values.json) process.stdout.write(`${JSON.stringify({ rounds, results }, null, 2)}\n`)
    return values.check && results.some(({ kept }) => kept === false) ? 1 : 0
  } finally {
    for (const end of ends) await end()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Without them a benchmark says for itself what it lacks. */
async function installTools(tools: readonly Tool[]): Promise<void> {
  const readiness = await prepareTools(tools)
  const said = readiness.ready ? readiness.installed : [readiness.reason]
  if (said.length === 0) return
  process.stderr.write(`${readiness.ready ? 'installed ' : ''}${said.join(' ')}\n`)
}

async function runBenchmark(one: Benchmark, bench: Bench): Promise<Result> {
  const { name, title, bound, goal, unit } = one
  const skipped = one.obstacle()
  const measured: Measured | null = skipped === null ? await one.measure(bench) : null
  return {
    name,
    title,
    bound,
    goal,
    unit,
    value: measured === null ? null : measured.value,
    kept: measured === null || bound === null ? null : measured.value <= bound,
    details: measured === null ? [] : measured.details,
    skipped,
  }
}

/** Memory where there is enough of it, since the disk is not what is measured. */
function place(): string {
  const memory = '/dev/shm'
  if (!existsSync(memory)) return tmpdir()
  const { bavail, bsize, ffree } = statfsSync(memory)
  return bavail * bsize > BYTES_WANTED && ffree > NAMES_WANTED ? memory : tmpdir()
}

/** Hosts are written when first asked for, and shared by the benchmarks of a run. */
function benchIn(folder: string, rounds: number, ends: (() => Promise<unknown>)[]): Bench {
  const hosts = join(folder, 'hosts')
  return {
    scratch: folder,
    rounds,
    host: (functions) => {
      const host = join(hosts, String(functions))
      if (existsSync(host)) return host
      process.stderr.write(`writing a host of ${functions} functions\n`)
      writeHost(host, layOutHost(functions))
      return host
    },
    clear: () => rmSync(hosts, { recursive: true, force: true }),
    atEnd: (end) => void ends.push(end),
  }
}

function describe(result: Result): string {
  const { title, value, bound, goal, unit, kept, skipped } = result
  if (value === null) return `skip  ${title}: ${skipped ?? ''}\n`
  const verdict = kept === null ? 'info' : kept ? 'kept' : 'MISS'
  const wanted = bound === null ? '' : ` (${wantedOf(bound, goal, unit)})`
  const head = `${verdict}  ${title}: ${show(value, unit)}${wanted}\n`
  return head + result.details.map((line) => `      ${line}\n`).join('')
}

function wantedOf(bound: number, goal: number | null, unit: string): string {
  return `bound ${show(bound, unit)}${goal === null ? '' : `, goal ${show(goal, unit)}`}`
}

function show(value: number, unit: string): string {
  return unit === '' ? value.toPrecision(3) : `${value.toFixed(0)} ${unit}`
}

function complain(message: string): number {
  process.stderr.write(`${message}\n`)
  return 2
}
