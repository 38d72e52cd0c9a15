/**
 * The part of a trace that runs in the guest: chooses steps from a seed, does them on the running
 * kernel and says what came of each, one line of JSON a step.
 *
 *     node guest.mjs SEED STEPS DIRECTORY
 *
 * The host talks to it through two named pipes in DIRECTORY: each line in `in` lets it go on until a step
 * that only the host can do (plugging), a hundred steps or the end; all lines since then are then in
 * `out`, the last of them being {"outside": operation}, {"more": true} or {"end": true}.
 */
import { openSync, writeSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Kernel } from '../../src/kernel/kernel.ts'
import { liveKernel } from '../../src/kernel/native/live-kernel.ts'
import type { FunctionDescription } from '../../src/model/machine/description.ts'
import { Random } from '../random.ts'
import { nextOperation } from './generate.ts'
import { traceUniverse } from './machine.ts'
import type { Operation } from './operation.ts'
import { TraceSide } from './side.ts'
import { readFunction, readTwin } from './twin.ts'
import { World } from './world.ts'

const CALM_MS = 150
/** So often the host hears that all is well. */
const PIECE_STEPS = 100
/** Characters of a step on the console. */
const LOGGED = 160

/** Talks to the host in turns: says all that has come together, and waits until it may go on. */
class Host {
  readonly #directory: string
  readonly #lines: string[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  say(line: object): void {
    this.#lines.push(JSON.stringify(line))
  }

  async go(): Promise<void> {
    await readFile(join(this.#directory, 'in'))
  }

  async answer(last: object): Promise<void> {
    this.say(last)
    await writeFile(join(this.#directory, 'out'), `${this.#lines.splice(0).join('\n')}\n`)
    await this.go()
  }
}

/** Every newcomer is plugged in once, to see what it is like. */
async function readNewcomers(
  side: TraceSide,
  host: Host,
  kernel: Kernel,
): Promise<readonly FunctionDescription[]> {
  const described: FunctionDescription[] = []
  for (const { name, address } of traceUniverse.newcomers) {
    const outside = (operation: Operation): Promise<unknown> =>
      side.step(operation, async () => {
        await host.answer({ outside: operation })
        return {}
      })
    await outside({ kind: 'plug', newcomer: name })
    described.push(readFunction(kernel, address))
    await outside({ kind: 'unplug', newcomer: name })
  }
  return described
}

/**
 * A kernel forgets the size of what it found no addresses for (reset_resource, drivers/pci/setup-bus.c). A
 * function of the same kind that was there from the start has the same registers.
 */
function withBars(
  newcomer: FunctionDescription,
  others: readonly FunctionDescription[],
): FunctionDescription {
  if (newcomer.bars.length > 0) return newcomer
  return { ...newcomer, bars: others.find(({ kind }) => kind === newcomer.kind)?.bars ?? [] }
}

async function main(seed: number, steps: number, directory: string): Promise<void> {
  const kernel = liveKernel()
  const host = new Host(directory)
  const side = new TraceSide(kernel, { ignored: traceUniverse.ignored, calmMs: CALM_MS })
  await host.go()
  await side.start()
  const newcomers = await readNewcomers(side, host, kernel)
  const state = await side.start()
  const machine = readTwin(kernel, 'trace')
  const drivers = kernel.list('/sys/bus/pci/drivers')
  const described = newcomers.map((one) => withBars(one, machine.functions))
  host.say({ start: Object.fromEntries(state), machine, newcomers: described, drivers })
  const log = openSync('/dev/console', 'w')
  const world = new World(traceUniverse, new Random(seed), side, machine.kernelRelease)
  for (let step = 1; step <= steps; step++) {
    const operation = nextOperation(world)
    // The host keeps the console: in case the guest dies of this very step.
    writeSync(log, `${step} ${JSON.stringify(operation).slice(0, LOGGED)}\n`)
    const plugs = operation.kind === 'plug' || operation.kind === 'unplug'
    const outside = async (): Promise<object> => {
      await host.answer({ outside: operation })
      return {}
    }
    const record = await side.step(operation, plugs ? outside : undefined)
    world.learn(operation, record.outcome, side.state)
    host.say(record)
    if (step % PIECE_STEPS === 0) await host.answer({ more: true })
  }
  await host.answer({ end: true })
}

const [seed = '1', steps = '100', directory = '/run/trace'] = process.argv.slice(2)
await main(Number(seed), Number(steps), directory)
process.exit(0)
