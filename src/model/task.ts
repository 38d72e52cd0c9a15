/**
 * Tasks: calls that are under way inside the model kernel.
 *
 * A system call that may sleep is a generator. It yields where another task could run on a real
 * machine: at steps of a long operation, and while it waits for a lock or for a user to let go of a
 * device. The ordinary kernel runs each call until it ends or sleeps; the explorer picks the next task
 * at every yield, and so reaches every interleaving. Code between two yields is atomic.
 *
 *     ready --step--> ready --wait(false)--> sleeping --until() true--> ready --return--> done
 */
import { Errno } from './errno.ts'

/** Where a task stands still: after a step, or until a condition holds. */
export interface Pause {
  /** What comes next or what is waited for: "probe 0000:01:00.0", "lock of 0000:01:00.0". */
  readonly at: string
  /** Absent for a mere step. Must be cheap and must not change anything. */
  readonly until?: () => boolean
}

export type Task<T> = Generator<Pause, T, undefined>

/** A point where other tasks may run. */
export function* step(at: string): Task<void> {
  yield { at }
}

/** Sleeps until the condition holds; does not yield when it holds already. */
export function* wait(at: string, until: () => boolean): Task<void> {
  while (!until()) yield { at, until }
}

/** A lock that sleeps. Not recursive: whoever takes it twice sleeps for ever, as in Linux. */
export class Mutex {
  readonly name: string
  held = false

  constructor(name: string) {
    this.name = name
  }

  *acquire(): Task<void> {
    yield* wait(`lock ${this.name}`, () => !this.held)
    this.held = true
  }

  /** @returns false when somebody holds it (mutex_trylock) */
  tryAcquire(): boolean {
    if (this.held) return false
    this.held = true
    return true
  }

  release(): void {
    this.held = false
  }

  /** Runs the body with the lock held, whatever it throws. */
  *with<T>(body: () => Task<T>): Task<T> {
    yield* this.acquire()
    try {
      return yield* body()
    } finally {
      this.release()
    }
  }
}

/** A task on its way, as the scheduler keeps it. */
export interface Thread {
  readonly name: string
  /** Where it stands; null before its first step. */
  readonly pause: Pause | null
  readonly done: boolean
}

interface Running extends Thread {
  pause: Pause | null
  done: boolean
  readonly task: Task<unknown>
  readonly finish: (outcome: Outcome<unknown>) => void
}

type Outcome<T> = { readonly value: T } | { readonly error: unknown }

/**
 * Holds the tasks that have begun and not ended.
 *
 * `start` alone runs nothing: who owns the scheduler decides the order, with `advance` (one yield of
 * one thread) or `settle` (everything until it ends or sleeps).
 */
export class Scheduler {
  readonly #threads: Running[] = []

  get threads(): readonly Thread[] {
    return this.#threads
  }

  /** Adds a task; `finish` is told its result or the error it threw. */
  start<T>(name: string, task: Task<T>, finish: (outcome: Outcome<T>) => void): Thread {
    const thread: Running = {
      name,
      pause: null,
      done: false,
      task,
      finish: (outcome) => {
        finish(outcome as Outcome<T>)
      },
    }
    this.#threads.push(thread)
    return thread
  }

  /** Whether the thread could go on now. */
  isReady(thread: Thread): boolean {
    return !thread.done && (thread.pause?.until === undefined || thread.pause.until())
  }

  /** Runs a ready thread to its next yield or its end. */
  advance(thread: Thread): void {
    const running = this.#threads.find((candidate) => candidate === thread)
    if (running === undefined) throw new Error(`${thread.name} is not a thread of this scheduler`)
    try {
      const { done, value } = running.task.next()
      if (done !== true) running.pause = value
      else this.#end(running, { value })
    } catch (error) {
      this.#end(running, { error })
    }
  }

  /** Runs every thread until all that are left sleep. */
  settle(): void {
    for (;;) {
      const ready = this.#threads.find((thread) => this.isReady(thread))
      if (ready === undefined) return
      this.advance(ready)
    }
  }

  #end(thread: Running, outcome: Outcome<unknown>): void {
    thread.done = true
    this.#threads.splice(this.#threads.indexOf(thread), 1)
    thread.finish(outcome)
  }
}

/**
 * Runs a task that cannot sleep to its end: reads, ioctls, set-up.
 * @throws Errno EDEADLK when it would have slept: a mistake in the model, or a lock held by a task
 *   that sleeps for ever
 */
export function runNow<T>(task: Task<T>): T {
  for (;;) {
    const { done, value } = task.next()
    if (done === true) return value
    if (value.until !== undefined && !value.until()) {
      task.return(undefined as T)
      throw new Errno('EDEADLK', `would sleep at ${value.at}`)
    }
  }
}
