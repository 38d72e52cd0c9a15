/** One side of a trace: a kernel, what was done on it so far, and what can be seen of it now. */
import type { Kernel } from '../../src/kernel/kernel.ts'
import { observe, sameState, UeventLog } from './observe.ts'
import { changes, type Operation, type Outcome, type StepRecord } from './operation.ts'
import type { VisibleState } from './operation.ts'
import { Performer } from './perform.ts'

export type SideOptions = {
  /** Functions that are not part of the traced machine. */
  readonly ignored: ReadonlySet<string>
  /** How long the state must stand still after a step that leaves work behind, in milliseconds. */
  readonly calmMs: number
}

/** Reads until nothing moves, at most so often. */
const READS_MAX = 400

export class TraceSide {
  readonly performer: Performer
  state: VisibleState = new Map()
  readonly #kernel: Kernel
  readonly #events: UeventLog
  readonly #options: SideOptions
  #step = 0

  constructor(kernel: Kernel, options: SideOptions) {
    this.#kernel = kernel
    this.#options = options
    this.#events = new UeventLog(kernel.events())
    this.performer = new Performer(kernel)
  }

  /** Before the first step: all that can be seen. */
  async start(): Promise<VisibleState> {
    await this.#settle(true)
    this.#events.take()
    this.#step = 0
    return this.state
  }

  /** Does one step; `outside` does it instead where the hardware is concerned. */
  async step(operation: Operation, outside?: () => Promise<Outcome>): Promise<StepRecord> {
    const before = this.state
    const slow = outside !== undefined || leavesWork(operation)
    const outcome = await (outside?.() ?? this.performer.perform(operation))
    await this.#settle(slow)
    this.#step += 1
    return {
      step: this.#step,
      operation,
      outcome,
      events: this.#events.take(),
      changed: changes(before, this.state),
    }
  }

  async #settle(slow: boolean): Promise<void> {
    const { calmMs } = this.#options
    let previous = this.state
    for (let read = 0; read < READS_MAX; read++) {
      await turn()
      if (slow) await pause(calmMs)
      this.state = observe(this.#kernel, this.#options.ignored)
      if (sameState(previous, this.state) && (read > 0 || !slow)) return
      previous = this.state
      if (!slow) await pause(calmMs / 10)
    }
    throw new Error('the state does not come to rest')
  }
}

/** Whether the kernel may go on after the call has returned. */
function leavesWork(operation: Operation): boolean {
  if (operation.kind === 'blocked-write') return true
  return (
    operation.kind === 'write' && /\/(power\/control|new_id|d3cold_allowed)$/.test(operation.path)
  )
}

/** The event loop looks at all descriptors before it goes round. */
async function turn(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setImmediate(resolve))
}

async function pause(milliseconds: number): Promise<void> {
  if (milliseconds > 0) await new Promise((resolve) => setTimeout(resolve, milliseconds))
}
