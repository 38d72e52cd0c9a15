/**
 * One run of a small machine on the model: an administrator, a user and a pair of hands for the slots,
 * each with a few things to do, in whatever order the explorer picks. Threads that are inside the kernel
 * go on one yield at a time.
 */
import { Errno } from '../src/model/errno.ts'
import type { MachineDescription } from '../src/model/machine/description.ts'
import { bootModel, type Model } from '../src/model/model.ts'
import type { Task, Thread } from '../src/model/task.ts'
import type { UserProcess } from '../src/model/user-process.ts'
import type { Container } from '../src/model/vfio/container.ts'
import type { World } from './engine.ts'
import { bindings, Checks, forgetEmptyContainers } from './invariants.ts'
import { IOVA_PAGES, type Observed } from './observed.ts'
import { stateKey } from './state-key.ts'

const PAGE_BYTES = 4096

/** Something that may happen once or a few times. */
export interface Operation {
  readonly name: string
  /** How often it may be begun in one run; null = whenever it is possible. */
  readonly times: number | null
  /** Whether it can be begun now; absent = always. */
  readonly possible?: (run: Run) => boolean
  /** What it does in the kernel. Errnos are answers like any other. */
  readonly begin: (run: Run) => Task<unknown>
  /** Told of every step of anybody else. */
  readonly others?: (run: Run) => void
  /** What it remembers between steps: part of the state. */
  readonly memory?: (run: Run) => string
  /** What must hold because of it. */
  readonly violation?: (run: Run) => string | null
}

export interface WorldPlan {
  readonly name: string
  readonly machine: MachineDescription
  /** Before anything else: not part of what is explored. */
  readonly prepare?: (run: Run) => void
  readonly operations: readonly Operation[]
  /** How many may be under way at the same time. */
  readonly threads: number
}

/** A deliberate mistake in the model: shows that the explorer would find it. */
export type Mutation = (model: Model) => void

export class Run implements World, Observed {
  readonly model: Model
  readonly user: UserProcess
  readonly descriptors: Map<string, number> = new Map()
  readonly mappings: Map<Container, Map<number, number>> = new Map()
  /** The user's memory for an IOVA page: allocated before anything else, so that it is no leak. */
  readonly #buffers: ReadonlyMap<number, number>
  readonly #plan: WorldPlan
  readonly #left: (number | null)[]
  readonly #threads: Thread[] = []
  readonly #checks: Checks
  #taken = 0
  #openViolation: string | null = null

  constructor(plan: WorldPlan, mutation: Mutation | null) {
    this.#plan = plan
    this.model = bootModel(plan.machine)
    this.user = this.model.createProcess({ name: 'user' })
    this.#buffers = new Map(
      IOVA_PAGES.map((page) => [page, this.user.memory.allocate(PAGE_BYTES).address]),
    )
    this.#left = plan.operations.map(({ times }) => times)
    plan.prepare?.(this)
    mutation?.(this.model)
    this.#checks = new Checks(this)
  }

  /** Virtual address of the memory that goes with an IOVA page. */
  buffer(iovaPage: number): number {
    const address = this.#buffers.get(iovaPage)
    if (address === undefined) throw new Error(`no buffer for page ${String(iovaPage)}`)
    return address
  }

  /** How many choices were taken: what was looked at since is still so. */
  get taken(): number {
    return this.#taken
  }

  /** How many operations are under way. */
  get busy(): number {
    return this.#threads.filter((thread) => !thread.done).length
  }

  choices(): readonly string[] {
    const { scheduler } = this.model.context
    const going = this.#threads
      .filter((thread) => !thread.done && scheduler.isReady(thread))
      .map((thread) => thread.name)
    const busy = this.#threads.filter((thread) => !thread.done)
    if (busy.length >= this.#plan.threads) return going
    const starting = this.#plan.operations
      .filter(({ name, possible }, n) => {
        if (this.#left[n] === 0 || busy.some((thread) => thread.name === `go on: ${name}`))
          return false
        return possible?.(this) ?? true
      })
      .map(({ name }) => name)
    return [...going, ...starting]
  }

  take(choice: string): void {
    const { scheduler } = this.model.context
    this.#taken += 1
    for (const operation of this.#plan.operations) {
      if (choice !== operation.name && choice !== `go on: ${operation.name}`)
        operation.others?.(this)
    }
    const opens = choice.startsWith('open')
    const before = opens ? bindings(this) : ''
    const running = this.#threads.find((thread) => thread.name === choice && !thread.done)
    if (running !== undefined) scheduler.advance(running)
    else this.#begin(choice)
    for (let n = this.#threads.length - 1; n >= 0; n--) {
      if (this.#threads[n]?.done === true) this.#threads.splice(n, 1)
    }
    forgetEmptyContainers(this)
    if (opens && bindings(this) !== before)
      this.#openViolation = `open: "${choice}" changed a binding`
  }

  #begin(name: string): void {
    const { scheduler } = this.model.context
    const position = this.#plan.operations.findIndex((operation) => operation.name === name)
    const operation = this.#plan.operations[position]
    if (operation === undefined) throw new Error(`there is no choice "${name}"`)
    const left = this.#left[position] ?? null
    if (left !== null) this.#left[position] = left - 1
    const thread = scheduler.start(`go on: ${name}`, operation.begin(this), (outcome) => {
      if ('error' in outcome && !(outcome.error instanceof Errno)) throw outcome.error
    })
    this.#threads.push(thread)
    scheduler.advance(thread)
  }

  key(): string {
    const threads = this.#threads.map(({ name, pause }) => `${name} ${pause?.at ?? ''}`).sort()
    const memories = this.#plan.operations.flatMap(({ memory }) => memory?.(this) ?? [])
    return stateKey(this, [...threads, this.#left.join(' '), ...memories])
  }

  violation(): string | null {
    const own = this.#plan.operations.map(({ violation }) => violation?.(this) ?? null)
    return (
      this.#openViolation ?? this.#checks.violation() ?? own.find((text) => text !== null) ?? null
    )
  }

  atRest(): boolean {
    return this.#threads.length === 0
  }
}

/** Worlds of a plan, with a mistake in each or without. */
export function worlds(plan: WorldPlan, mutation: Mutation | null = null): () => World {
  return () => new Run(plan, mutation)
}
