/**
 * The part of a trace that runs in the guest: chooses steps from a seed, does them on the running
 * kernel and says what came of each, one line of JSON a step.
 *
 *     node guest.mjs SEED STEPS DIRECTORY
 *
 * The host talks to it through two named pipes in DIRECTORY: each line in `in` lets it go on until a step
 * that only the host can do (plugging) or the end; all lines since then are then in `out`, the last of
 * them being {"outside": operation} or {"end": true}.
 */
import { appendFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { liveKernel } from '../../src/kernel/native/live-kernel.ts'
import { Random } from '../random.ts'
import { nextOperation } from './generate.ts'
import { LAB_FUNCTION, traceUniverse } from './machine.ts'
import { changes } from './operation.ts'
import { TraceSide } from './side.ts'
import { World } from './world.ts'

const CALM_MS = 150

async function main(seed: number, steps: number, directory: string): Promise<void> {
  const side = new TraceSide(liveKernel(), { ignored: new Set([LAB_FUNCTION]), calmMs: CALM_MS })
  const state = await side.start()
  const world = new World(traceUniverse, new Random(seed), side.performer, state)
  const lines: string[] = [JSON.stringify({ start: changes(new Map(), state) })]
  const answer = async (last: object): Promise<void> => {
    lines.push(JSON.stringify(last))
    await writeFile(join(directory, 'out'), `${lines.splice(0).join('\n')}\n`)
    await readFile(join(directory, 'in'))
  }
  await readFile(join(directory, 'in'))
  for (let step = 1; step <= steps; step++) {
    const operation = nextOperation(world)
    // Kept in case the guest dies of this very step.
    appendFileSync(join(directory, 'steps'), `${JSON.stringify(operation)}\n`)
    const plugs = operation.kind === 'plug' || operation.kind === 'unplug'
    const outside = async (): Promise<object> => {
      await answer({ outside: operation })
      return {}
    }
    const record = await side.step(operation, plugs ? outside : undefined)
    world.learn(operation, record.outcome, side.state)
    lines.push(JSON.stringify(record))
  }
  await answer({ end: true })
}

const [seed = '1', steps = '100', directory = '/run/trace'] = process.argv.slice(2)
await main(Number(seed), Number(steps), directory)
process.exit(0)
