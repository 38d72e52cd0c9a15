/**
 * `npm run explore [-- --states N] [--depth N] [--world NAME] [--jobs N]`: every interleaving of the small
 * worlds, up to so many distinct states in all (a million unless said otherwise). Ends with 1 when an
 * invariant does not hold, and prints the shortest way there.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { describeCounterExample, type Exploration } from './engine.ts'
import { exploreAsWorker, exploreInWorker } from './one-world.ts'
import { WORLDS } from './worlds.ts'

interface Settings {
  readonly states: number
  readonly depth: number
  readonly jobs: number
  readonly worlds: readonly string[]
}

const NAMES: readonly string[] = WORLDS.map(({ name }) => name)

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      states: { type: 'string', default: '1000000' },
      depth: { type: 'string', default: '100' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      world: { type: 'string' },
    },
  })
  const { world } = values
  if (world !== undefined && !NAMES.includes(world)) {
    throw new Error(`there is no world "${world}"; there are ${NAMES.join(', ')}`)
  }
  return {
    states: positive('states', values.states),
    depth: positive('depth', values.depth),
    jobs: positive('jobs', values.jobs),
    worlds: world === undefined ? NAMES : [world],
  }
}

function positive(option: string, text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new Error(`--${option} is "${text}", which is no whole number above 0`)
}

/** @returns distinct states, in all worlds together */
async function exploreAll({ states, depth, jobs, worlds }: Settings): Promise<number> {
  const waiting = [...worlds]
  let total = 0
  let promised = 0
  const work = async (): Promise<void> => {
    for (let world = waiting.shift(); world !== undefined; world = waiting.shift()) {
      // What a small world does not need goes to those after it.
      const share = Math.ceil((states - total - promised) / (waiting.length + 1))
      promised += share
      const started = performance.now()
      const found = await exploreInWorker(new URL(import.meta.url), world, { states: share, depth })
      promised -= share
      total += found.states
      report(world, found, performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, worlds.length) }, work))
  return total
}

function report(world: string, found: Exploration, milliseconds: number): void {
  const extent = found.complete ? 'all there are' : `up to ${String(found.depth)} steps`
  process.stdout.write(
    `${world}: ${String(found.states)} states (${extent}), ${String(found.transitions)} transitions, ${(milliseconds / 1000).toFixed(1)} s\n`,
  )
  if (found.counterExample === null) return
  process.stdout.write(`${describeCounterExample(found.counterExample)}\n`)
  process.exitCode = 1
}

async function main(): Promise<void> {
  try {
    const total = await exploreAll(readSettings())
    process.stdout.write(`${String(total)} distinct states\n`)
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 2
  }
}

if (!exploreAsWorker()) await main()
