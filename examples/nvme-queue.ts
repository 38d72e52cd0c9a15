/**
 * A pair of NVMe queues (NVM Express Base Specification 1.4, chapter 4): commands go into the submission queue, a
 * doorbell tells the controller, and answers come in the completion queue, any order, told by an interrupt.
 *
 *     memory:  submission entries (64 bytes)   completion entries (16 bytes)   one page of data for each command
 *
 * Who writes an entry and who reads it is decided by the phase bit, which changes at every turn of the queue.
 */
import type { Context, InterruptVector, Mapping, Region } from 'isogroup/access'

const SUBMISSION_BYTES = 64
const COMPLETION_BYTES = 16
const DOORBELLS = 0x1000
export const PAGE = 4096
/** Brings the upper half of a number down; storing it as 32 bits cuts off the rest. */
export const UPPER: number = 2 ** -32

/** Words of a command, beside its identifier and where its data is. */
export interface Command {
  readonly opcode: number
  readonly namespace?: number
  /** Physical region page; absent: the command's own page of data. */
  readonly data?: number
  readonly words?: readonly [number?, number?, number?]
}

export interface QueueInit {
  readonly context: Context
  readonly registers: Region
  /** Number of the pair; 0 is for administration. */
  readonly id: number
  /** Entries; one less command can be under way. */
  readonly depth: number
  /** Bytes between doorbells. */
  readonly stride: number
}

/** The controller's own word for what went wrong (4.6.1). */
class NvmeStatusError extends Error {
  constructor(opcode: number, status: number) {
    super(`command 0x${opcode.toString(16)} failed with status 0x${status.toString(16)}`)
    this.name = 'NvmeStatusError'
  }
}

interface Pending {
  readonly opcode: number
  resolve(result: number): void
  reject(error: Error): void
}

export class QueuePair {
  readonly id: number
  readonly depth: number
  /** One page for each command that can be under way, by slot. */
  readonly data: Uint8Array
  readonly #registers: Region
  readonly #mapping: Mapping
  /** Where the controller finds the pages of data. */
  readonly #pages: number
  readonly #doorbell: { readonly submission: number; readonly completion: number }
  readonly #submissions: Uint32Array
  readonly #completions: Uint32Array
  /** Of one turn: the last word and the first of each. */
  readonly #answers: Uint32Array
  readonly #pending: (Pending | null)[]
  readonly #free: number[]
  readonly #waiting: ((slot: number) => void)[] = []
  #tail = 0
  #head = 0
  #phase = 1

  /** Told of every answer: settles what run() promised, unless a program wants to know by itself. */
  finished = (slot: number, status: number, result: number): void => {
    const pending = this.#pending[slot]
    if (pending === undefined || pending === null) return
    this.#pending[slot] = null
    if (status === 0) pending.resolve(result)
    else pending.reject(new NvmeStatusError(pending.opcode, status))
  }

  constructor({ context, registers, id, depth, stride }: QueueInit) {
    this.id = id
    this.depth = depth
    this.#registers = registers
    const memory = context.allocate((2 + depth) * PAGE)
    this.#mapping = context.map(memory)
    this.#pages = this.#mapping.iova + 2 * PAGE
    const { buffer, byteOffset } = memory.bytes
    this.#submissions = new Uint32Array(buffer, byteOffset, (depth * SUBMISSION_BYTES) / 4)
    this.#completions = new Uint32Array(buffer, byteOffset + PAGE, (depth * COMPLETION_BYTES) / 4)
    this.#answers = new Uint32Array(2 * depth)
    this.data = memory.bytes.subarray(2 * PAGE)
    this.#doorbell = {
      submission: DOORBELLS + 2 * id * stride,
      completion: DOORBELLS + (2 * id + 1) * stride,
    }
    this.#pending = new Array<Pending | null>(depth).fill(null)
    this.#free = Array.from({ length: depth - 1 }, (_, slot) => slot)
  }

  /** For the controller: where the submission queue is. */
  get submissionsAt(): number {
    return this.#mapping.iova
  }

  get completionsAt(): number {
    return this.#mapping.iova + PAGE
  }

  /** The page of data of a slot. */
  page(slot: number): Uint8Array {
    return this.data.subarray(slot * PAGE, (slot + 1) * PAGE)
  }

  /** Takes a slot as soon as one is free, and gives it back when the work with its page is done. */
  async use<T>(work: (slot: number) => Promise<T>): Promise<T> {
    const slot = this.#free.pop() ?? (await new Promise<number>((give) => this.#waiting.push(give)))
    try {
      return await work(slot)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free.push(slot)
      else next(slot)
    }
  }

  /** @returns the first word of the answer @throws NvmeStatusError */
  run(slot: number, command: Command): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#pending[slot] = { opcode: command.opcode, resolve, reject }
      this.submit(slot, command)
    })
  }

  /** Gives the controller a command; `finished` is told when it is done. */
  submit(slot: number, { opcode, namespace = 0, data, words }: Command): void {
    const entry = this.#submissions
    const at = this.#tail * (SUBMISSION_BYTES / 4)
    const page = data ?? this.#pages + slot * PAGE
    entry[at] = opcode | (slot << 16)
    entry[at + 1] = namespace
    entry[at + 6] = page
    entry[at + 7] = page * UPPER
    entry[at + 10] = words?.[0] ?? 0
    entry[at + 11] = words?.[1] ?? 0
    entry[at + 12] = words?.[2] ?? 0
    this.#tail = this.#tail + 1 === this.depth ? 0 : this.#tail + 1
    this.#registers.write32(this.#doorbell.submission, this.#tail)
  }

  /** Takes the answers that have come. @returns how many */
  poll(): number {
    let count = 0
    for (; ; count++) {
      const at = this.#head * (COMPLETION_BYTES / 4)
      const last = this.#completions[at + 3] ?? 0
      if (((last >>> 16) & 1) !== this.#phase) break
      this.#answers[2 * count] = last
      this.#answers[2 * count + 1] = this.#completions[at] ?? 0
      this.#head += 1
      if (this.#head === this.depth) {
        this.#head = 0
        this.#phase ^= 1
      }
    }
    // Their places are free before anybody is told: the controller goes on while the program works.
    if (count > 0) this.#registers.write32(this.#doorbell.completion, this.#head)
    for (let n = 0; n < count; n++) {
      const last = this.#answers[2 * n] ?? 0
      this.finished(last & 0xffff, last >>> 17, this.#answers[2 * n + 1] ?? 0)
    }
    return count
  }

  /** Takes answers whenever the interrupt comes, until the interrupts are closed. */
  async listen(vector: InterruptVector): Promise<void> {
    for await (const count of vector) if (count > 0) this.poll()
  }
}
