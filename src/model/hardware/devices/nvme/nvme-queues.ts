/**
 * Submission and completion queues: rings in host memory (NVM Express 1.4, 4.1 and 4.6). The host
 * rings a doorbell with the new tail of a submission queue; the controller answers in the
 * completion queue that belongs to it. A phase bit that changes with every round tells the host
 * which entries are new.
 */
import type { BusMaster } from '../../function.ts'
import { advanceAddress, type BusAddress, busAddress, dmaRead, dmaWrite } from '../bus-address.ts'
import { statusField } from './nvme-status.ts'

const SUBMISSION_BYTES = 64
const COMPLETION_BYTES = 16

/** One 64-byte submission entry. */
export class Command {
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, SUBMISSION_BYTES)
  }

  get opcode(): number {
    return this.#view.getUint8(0)
  }

  get id(): number {
    return this.#view.getUint16(2, true)
  }

  get namespace(): number {
    return this.dword(1)
  }

  /** Command dword 0-15. */
  dword(n: number): number {
    return this.#view.getUint32(4 * n, true)
  }

  get prp1(): BusAddress {
    return busAddress(this.dword(6), this.dword(7))
  }

  get prp2(): BusAddress {
    return busAddress(this.dword(8), this.dword(9))
  }
}

export class CompletionQueue {
  readonly id: number
  readonly size: number
  /** Interrupt vector; null = it does not interrupt. */
  readonly vector: number | null
  head = 0
  readonly #base: BusAddress
  #tail = 0
  #phase = 1

  constructor(init: { id: number; base: BusAddress; size: number; vector: number | null }) {
    this.id = init.id
    this.size = init.size
    this.vector = init.vector
    this.#base = init.base
  }

  get full(): boolean {
    return (this.#tail + 1) % this.size === this.head
  }

  /** Entries that the host has not taken yet. */
  get waiting(): boolean {
    return this.#tail !== this.head
  }

  /** Whether the doorbell value is an entry of the queue, taken or to be taken. */
  holds(head: number): boolean {
    const filled = (this.#tail - this.head + this.size) % this.size
    return head < this.size && (head - this.head + this.size) % this.size <= filled
  }

  /** @returns whether the entry arrived in memory */
  post(port: BusMaster | null, from: SubmissionQueue, id: number, outcome: Outcome): boolean {
    const entry = new DataView(new ArrayBuffer(COMPLETION_BYTES))
    entry.setUint32(0, outcome.result, true)
    entry.setUint16(8, from.head, true)
    entry.setUint16(10, from.id, true)
    entry.setUint16(12, id, true)
    entry.setUint16(14, (statusField(outcome.status) << 1) | this.#phase, true)
    const at = advanceAddress(this.#base, this.#tail * COMPLETION_BYTES)
    if (!dmaWrite(port, at, new Uint8Array(entry.buffer))) return false
    this.#tail = (this.#tail + 1) % this.size
    if (this.#tail === 0) this.#phase ^= 1
    return true
  }
}

export interface Outcome {
  readonly status: number
  /** Dword 0 of the completion. */
  readonly result: number
}

export class SubmissionQueue {
  readonly id: number
  readonly size: number
  readonly completions: CompletionQueue
  head = 0
  tail = 0
  readonly #base: BusAddress

  constructor(init: { id: number; base: BusAddress; size: number; completions: CompletionQueue }) {
    this.id = init.id
    this.size = init.size
    this.completions = init.completions
    this.#base = init.base
  }

  /** A command waits and there is room for its completion. */
  get ready(): boolean {
    return this.head !== this.tail && !this.completions.full
  }

  /** Takes the command at the head; null when memory refused it. */
  take(port: BusMaster | null): Command | null {
    const at = advanceAddress(this.#base, this.head * SUBMISSION_BYTES)
    const bytes = dmaRead(port, at, SUBMISSION_BYTES)
    this.head = (this.head + 1) % this.size
    return bytes === null ? null : new Command(bytes)
  }
}
