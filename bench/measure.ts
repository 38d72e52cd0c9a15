/**
 * Measures whole processes: wall time and the most memory one held.
 *
 * What is compared runs in turns (A B A B ...), so that a machine that slows down slows both, and the
 * median of each is taken. The output goes to a file, as into a pipe or a redirection in real use, and
 * is kept so that the caller can see that the work was done.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Contender {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  /** Throws when the output does not show that the work was done. */
  readonly verify: (stdout: string) => void
}

export interface Timing {
  readonly name: string
  /** Milliseconds, in the order measured. */
  readonly runs: readonly number[]
  readonly median: number
}

/** One unmeasured run each, whose output is verified; then `rounds` turns. */
export async function takeTurns(
  contenders: readonly Contender[],
  rounds: number,
  folder: string,
): Promise<readonly Timing[]> {
  for (const contender of contenders) {
    await runOnce(contender, folder)
    contender.verify(readFileSync(join(folder, 'stdout'), 'utf8'))
  }
  const runs = contenders.map((): number[] => [])
  for (let round = 0; round < rounds; round += 1) {
    for (const [n, contender] of contenders.entries()) {
      runs[n]?.push(await runOnce(contender, folder))
    }
  }
  return contenders.map(({ name }, n) => {
    const own = runs[n] ?? []
    return { name, runs: own, median: median(own) }
  })
}

/** @returns wall time in milliseconds, from before the start of the process to its end */
async function runOnce(contender: Contender, folder: string): Promise<number> {
  const out = openSync(join(folder, 'stdout'), 'w')
  const err = openSync(join(folder, 'stderr'), 'w')
  try {
    const started = performance.now()
    const child = spawn(contender.command, contender.args, { stdio: ['ignore', out, err] })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('exit', resolve)
    })
    const took = performance.now() - started
    if (code === 0) return took
    const said = readFileSync(join(folder, 'stderr'), 'utf8').trim().slice(-2000)
    throw new Error(`${contender.name} ended with ${code ?? 'a signal'}: ${said}`)
  } finally {
    closeSync(out)
    closeSync(err)
  }
}

/** NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const lower = sorted[middle - 1] ?? upper
  return sorted.length % 2 === 1 ? upper : (upper + lower) / 2
}

/**
 * Loaded into a Node process before its program: at the end, the peak of its resident memory goes to
 * the file named by BENCH_PEAK. Not the maximum of getrusage(2): that one also counts the process that
 * started it, as it was before exec.
 */
const PEAK_PROBE =
  "import { readFileSync, writeFileSync } from 'node:fs';" +
  "process.on('exit', () => writeFileSync(process.env.BENCH_PEAK," +
  " /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]))"

/** @returns the most resident memory that the Node program held, in MiB */
export async function measurePeak(contender: Contender, folder: string): Promise<number> {
  const file = join(folder, 'peak')
  const probe = `data:text/javascript,${encodeURIComponent(PEAK_PROBE)}`
  const env = [`BENCH_PEAK=${file}`, contender.command, '--import', probe]
  await runOnce({ ...contender, command: 'env', args: [...env, ...contender.args] }, folder)
  return Number(readFileSync(file, 'utf8')) / 1024
}
