/**
 * An NVMe controller with one namespace (NVM Express 1.4): what a user-space driver of a few
 * hundred lines needs, and Linux's nvme driver could start with. Registers in BAR0, queues and data
 * in host memory.
 *
 * One `advance()` executes one command: entry fetched by DMA, data moved by DMA, completion written
 * by DMA, interrupt sent. When a queue itself is out of reach the controller reports a fatal error
 * (CSTS.CFS) and stops, as real ones do; when only data is, the command fails with a data transfer
 * error. Queues take turns; the admin queue is just the first of them.
 */
import type { ConfigSpace } from '../../config-space.ts'
import type { Bar, BusMaster, HardwareFunction } from '../../function.ts'
import { type BusAddress, busAddress } from '../bus-address.ts'
import { InterruptSource } from '../interrupt-source.ts'
import { type AdminState, DEFAULT_FEATURES, executeAdmin } from './admin-commands.ts'
import type { BlockStore } from './block-store.ts'
import type { Identity } from './identify.ts'
import { executeIo } from './io-commands.ts'
import { type Command, CompletionQueue, type Outcome, SubmissionQueue } from './nvme-queues.ts'
import { CAP_HIGH, CAP_LOW, CC_ENABLE, CSTS, REG, VERSION_1_4 } from './nvme-registers.ts'
import { CommandFailure } from './nvme-status.ts'

const SHUTDOWN = 3 << 14
const MEMORY_PAGE_SIZE = 0xf << 7
/** Entry sizes of 2^6 and 2^4 bytes in CC. */
const ENTRY_SIZES = (6 << 16) | (4 << 20)
/** Event type 0 (error): 0 = doorbell of no queue, 1 = impossible value. */
const EVENT = { noSuchDoorbell: 0x0000, badDoorbellValue: 0x0100 } as const

export class NvmeController implements HardwareFunction, AdminState {
  readonly kind = 'nvme'
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  virtualFunction?: (index: number) => HardwareFunction
  readonly identity: Identity
  readonly store: BlockStore
  readonly submissions: Map<number, SubmissionQueue> = new Map()
  readonly completions: Map<number, CompletionQueue> = new Map()
  readonly features: Map<number, number> = new Map(DEFAULT_FEATURES)
  readonly eventRequests: number[] = []
  port: BusMaster | null = null
  readonly #interrupts: InterruptSource
  /** AQA, ASQ and ACQ, by offset. */
  readonly #adminRegisters = new Map<number, number>()
  #configuration = 0
  #status = 0
  #mask = 0
  /** Queue that is looked at first next time. */
  #turn = 0
  /** Events that nobody asked for yet. */
  #events: number[] = []

  constructor(init: {
    readonly config: ConfigSpace
    readonly bars: readonly Bar[]
    readonly store: BlockStore
    readonly serial: string
    readonly controllerId: number
  }) {
    this.config = init.config
    this.bars = init.bars
    this.store = init.store
    this.identity = init
    this.#interrupts = new InterruptSource(init.config)
  }

  get vectors(): number {
    return this.#interrupts.mode === 'msix' ? (this.#interrupts.table?.vectors ?? 1) : 1
  }

  readBar(index: number, offset: number, size: 1 | 2 | 4): number {
    const { table } = this.#interrupts
    if (table?.covers(index, offset) === true) return table.read(index, offset, size)
    if (index !== 0) return 2 ** (8 * size) - 1
    const word = this.#read(offset & ~3) >>> (8 * (offset & 3))
    return size === 4 ? word >>> 0 : word & (2 ** (8 * size) - 1)
  }

  /** Registers take accesses of 4 bytes (8 come as two of 4). */
  writeBar(index: number, offset: number, size: 1 | 2 | 4, value: number): void {
    if (this.#interrupts.table?.covers(index, offset) === true) {
      this.#interrupts.writeTable(index, offset, size, value)
    } else if (index === 0 && size === 4) this.#write(offset, value >>> 0)
  }

  memory(): null {
    return null
  }

  reset(): void {
    this.#interrupts.reset()
    this.#stop()
    this.#adminRegisters.clear()
    this.#configuration = 0
    this.#mask = 0
    for (const [feature, value] of DEFAULT_FEATURES) this.features.set(feature, value)
  }

  connect(port: BusMaster | null): void {
    this.port = port
    this.#interrupts.connect(port)
  }

  get busy(): boolean {
    return this.#next() !== undefined
  }

  advance(): void {
    const queue = this.#next()
    if (queue === undefined) return
    this.#turn = queue.id + 1
    const command = queue.take(this.port)
    if (command === null) {
      this.#status |= CSTS.fatal
      return
    }
    const outcome = this.#execute(queue, command)
    if (outcome !== null) this.#complete(queue, command.id, outcome)
    if (queue.id === 0) this.#reportEvents()
  }

  finishEvent(id: number, outcome: Outcome): void {
    const admin = this.submissions.get(0)
    if (admin !== undefined) this.#complete(admin, id, outcome)
  }

  #next(): SubmissionQueue | undefined {
    if ((this.#status & CSTS.ready) === 0 || (this.#status & CSTS.fatal) !== 0) return undefined
    const ready = [...this.submissions.values()].filter((queue) => queue.ready)
    return ready.find((queue) => queue.id >= this.#turn) ?? ready[0]
  }

  #execute(queue: SubmissionQueue, command: Command): Outcome | null {
    try {
      if (queue.id === 0) return executeAdmin(this, command)
      return executeIo(this.port, this.store, command)
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error
      return { status: error.status, result: 0 }
    }
  }

  #complete(queue: SubmissionQueue, id: number, outcome: Outcome): void {
    const { completions } = queue
    if (!completions.post(this.port, queue, id, outcome)) {
      this.#status |= CSTS.fatal
      return
    }
    if (completions.vector !== null) this.#interrupts.signal(completions.vector)
    this.#updatePin()
  }

  /**
   * In pin mode the level stays while an interrupting queue holds entries and its vector is not
   * masked.
   */
  #updatePin(): void {
    const due = [...this.completions.values()].some(
      ({ vector, waiting }) => vector !== null && waiting && (this.#mask & (1 << vector)) === 0,
    )
    this.#interrupts.level(due)
  }

  #read(offset: number): number {
    switch (offset) {
      case REG.capLow:
        return CAP_LOW
      case REG.capHigh:
        return CAP_HIGH
      case REG.version:
        return VERSION_1_4
      case REG.maskSet:
      case REG.maskClear:
        return this.#mask
      case REG.configuration:
        return this.#configuration
      case REG.status:
        return this.#status
      default:
        return this.#adminRegisters.get(offset) ?? 0
    }
  }

  #write(offset: number, value: number): void {
    if (offset >= REG.doorbells) {
      this.#doorbell((offset - REG.doorbells) / 4, value)
      return
    }
    switch (offset) {
      case REG.maskSet:
      case REG.maskClear:
        this.#mask = offset === REG.maskSet ? this.#mask | value : this.#mask & ~value
        this.#updatePin()
        return
      case REG.configuration:
        this.#configure(value)
        return
      case REG.adminSizes:
      case REG.adminSubmission:
      case REG.adminSubmission + 4:
      case REG.adminCompletion:
      case REG.adminCompletion + 4:
        this.#adminRegisters.set(offset, value)
    }
  }

  #configure(value: number): void {
    const before = this.#configuration
    this.#configuration = value
    if ((value & CC_ENABLE) !== 0 && (before & CC_ENABLE) === 0) this.#start()
    else if ((value & CC_ENABLE) === 0 && (before & CC_ENABLE) !== 0) this.#stop()
    const shutdown = (value & SHUTDOWN) !== 0
    this.#status = (this.#status & ~CSTS.shutdownMask) | (shutdown ? CSTS.shutDown : 0)
  }

  #start(): void {
    const sizes = this.#adminRegisters.get(REG.adminSizes) ?? 0
    const submission = this.#queueBase(REG.adminSubmission)
    const completion = this.#queueBase(REG.adminCompletion)
    const sized = (sizes & 0xfff) !== 0 && ((sizes >>> 16) & 0xfff) !== 0
    const cc = this.#configuration
    const fits = (cc & MEMORY_PAGE_SIZE) === 0 && (cc & (0xff << 16)) === ENTRY_SIZES
    if (submission === null || completion === null || !sized || !fits) {
      this.#status |= CSTS.fatal
      return
    }
    const completions = new CompletionQueue({
      id: 0,
      base: completion,
      size: ((sizes >>> 16) & 0xfff) + 1,
      vector: 0,
    })
    const size = (sizes & 0xfff) + 1
    this.completions.set(0, completions)
    this.submissions.set(0, new SubmissionQueue({ id: 0, base: submission, size, completions }))
    this.#status |= CSTS.ready
  }

  /** Controller reset: queues are gone, admin queue registers stay (3.1.5). */
  #stop(): void {
    this.submissions.clear()
    this.completions.clear()
    this.eventRequests.length = 0
    this.#events = []
    this.#status = 0
    this.#updatePin()
  }

  #queueBase(register: number): BusAddress | null {
    const low = this.#adminRegisters.get(register) ?? 0
    const high = this.#adminRegisters.get(register + 4) ?? 0
    return (low & 0xfff) !== 0 || (low | high) === 0 ? null : busAddress(low, high)
  }

  #doorbell(index: number, value: number): void {
    const id = Math.floor(index / 2)
    const isTail = index % 2 === 0
    if (isTail) {
      const queue = this.submissions.get(id)
      if (queue === undefined) this.#event(EVENT.noSuchDoorbell)
      else if (value >= queue.size) this.#event(EVENT.badDoorbellValue)
      else queue.tail = value
      return
    }
    const queue = this.completions.get(id)
    if (queue === undefined) this.#event(EVENT.noSuchDoorbell)
    else if (!queue.holds(value)) this.#event(EVENT.badDoorbellValue)
    else queue.head = value
    this.#updatePin()
  }

  #event(event: number): void {
    if ((this.#status & CSTS.ready) === 0) return
    this.#events.push(event)
    this.#reportEvents()
  }

  #reportEvents(): void {
    while (this.#events.length > 0 && this.eventRequests.length > 0) {
      const id = this.eventRequests.shift() ?? 0
      // Bits 23:16 name the log page that tells more: the error log.
      this.finishEvent(id, { status: 0, result: (this.#events.shift() ?? 0) | (1 << 16) })
    }
  }
}
