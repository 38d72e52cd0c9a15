/**
 * The host's side of NVMe queues, small enough for tests: queues in a MemoryPort, one command at a
 * time.
 */
import type { HardwareFunction } from '../../function.ts'
import { drain, type MemoryPort } from '../memory-port.case.ts'

export interface Completion {
  readonly result: number
  readonly status: number
  readonly id: number
  readonly head: number
}

interface Fields {
  readonly opcode: number
  readonly namespace?: number
  /** Bus addresses below 2^32. */
  readonly prp1?: number
  readonly prp2?: number
  /** Dwords 10 and up. */
  readonly dwords?: readonly number[]
}

export class QueuePair {
  readonly #fn: HardwareFunction
  readonly #port: MemoryPort
  readonly #init: { id: number; submissions: number; completions: number; entries: number }
  #tail = 0
  #head = 0
  #phase = 1
  #nextId = 1

  constructor(
    fn: HardwareFunction,
    port: MemoryPort,
    init: { id: number; submissions: number; completions: number; entries: number },
  ) {
    this.#fn = fn
    this.#port = port
    this.#init = init
  }

  /** Puts a command into the queue without ringing. @returns its id */
  push({ opcode, namespace = 0, prp1 = 0, prp2 = 0, dwords = [] }: Fields): number {
    const at = this.#init.submissions + 64 * this.#tail
    const { view } = this.#port
    const id = this.#nextId
    this.#nextId += 1
    for (let n = 0; n < 16; n++) view.setUint32(at + 4 * n, 0, true)
    view.setUint32(at, opcode | (id << 16), true)
    view.setUint32(at + 4, namespace, true)
    view.setUint32(at + 24, prp1, true)
    view.setUint32(at + 32, prp2, true)
    dwords.forEach((value, n) => {
      view.setUint32(at + 40 + 4 * n, value, true)
    })
    this.#tail = (this.#tail + 1) % this.#init.entries
    return id
  }

  ring(): void {
    this.#fn.writeBar(0, 0x1000 + 8 * this.#init.id, 4, this.#tail)
  }

  /** The next new completion; undefined when there is none. */
  take(): Completion | undefined {
    const at = this.#init.completions + 16 * this.#head
    const { view } = this.#port
    const word = view.getUint16(at + 14, true)
    if ((word & 1) !== this.#phase) return undefined
    this.#head = (this.#head + 1) % this.#init.entries
    if (this.#head === 0) this.#phase ^= 1
    this.#fn.writeBar(0, 0x1004 + 8 * this.#init.id, 4, this.#head)
    return {
      result: view.getUint32(at, true),
      head: view.getUint16(at + 8, true),
      id: view.getUint16(at + 12, true),
      status: (word >> 1) & 0x7ff,
    }
  }

  run(fields: Fields): Completion {
    const id = this.push(fields)
    this.ring()
    drain(this.#fn)
    const completion = this.take()
    if (completion?.id !== id) throw new Error('no completion')
    return completion
  }
}

const ADMIN = { submissions: 0x1000, completions: 0x2000, entries: 8 } as const

/** Enables the controller. @returns the admin queue pair */
export function enable(fn: HardwareFunction, port: MemoryPort): QueuePair {
  const last = ADMIN.entries - 1
  fn.writeBar(0, 0x24, 4, last | (last << 16))
  fn.writeBar(0, 0x28, 4, ADMIN.submissions)
  fn.writeBar(0, 0x30, 4, ADMIN.completions)
  fn.writeBar(0, 0x14, 4, 1 | (6 << 16) | (4 << 20))
  return new QueuePair(fn, port, { id: 0, ...ADMIN })
}
