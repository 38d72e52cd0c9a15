/** One world explored in a thread of its own, so that each processor has one to do. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Exploration, explore, type Limits } from './engine.ts'
import { worlds } from './model-run.ts'
import { WORLDS } from './worlds.ts'

/** Worlds are made and thrown away by the thousand: a larger nursery copies fewer of them. */
const LIMITS = { maxYoungGenerationSizeMb: 128 }

interface Work {
  readonly world: string
  readonly limits: Limits
}

/** @param module the program itself, which calls {@link exploreAsWorker} when it is a worker */
export function exploreInWorker(module: URL, world: string, limits: Limits): Promise<Exploration> {
  const work: Work = { world, limits }
  return new Promise((resolve, reject) => {
    const worker = new Worker(module, { workerData: work, resourceLimits: LIMITS })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', (code) => {
      reject(
        new Error(`the search of world "${world}" ended with ${String(code)}, without a result`),
      )
    })
  })
}

/** Does the work of this thread. @returns false in the main thread, which has none */
export function exploreAsWorker(): boolean {
  if (isMainThread) return false
  const { world, limits } = workerData as Work
  const plan = WORLDS.find(({ name }) => name === world)
  if (plan === undefined) throw new Error(`there is no world "${world}"`)
  // Errnos are answers here, by the million, and nobody looks at their stacks.
  Error.stackTraceLimit = 0
  parentPort?.postMessage(explore(worlds(plan), limits))
  return true
}
