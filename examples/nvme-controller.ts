/** An NVMe controller brought up in user space: reset, queues, identification (NVM Express 1.4, 3.1 and 7.6.1). */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context, Device, Interrupts, Region } from 'isogroup/access'
import { type Command, PAGE, QueuePair, UPPER } from './nvme-queue.ts'

const REG = { cap: 0x00, cc: 0x14, csts: 0x1c, aqa: 0x24, asq: 0x28, acq: 0x30 } as const
const ADMIN = {
  createSubmission: 0x01,
  createCompletion: 0x05,
  identify: 0x06,
  features: 0x09,
} as const
const IO = { write: 0x01, read: 0x02 } as const
const READY = 1
const FATAL = 2
/** Enabled, entries of 64 and 16 bytes, pages of 4 KiB. */
const ENABLE = 1 | (6 << 16) | (4 << 20)
const NUMBER_OF_QUEUES = 7
const ADMIN_DEPTH = 16
/** Commands under way in a queue of one page of completions and one of submissions. */
const DEPTH = 64
const CONTIGUOUS = 1
const INTERRUPTS_ON = 2
const NAMESPACE = 1

export interface Identity {
  readonly model: string
  readonly serial: string
  /** Blocks of the first namespace. */
  readonly blocks: number
  /** Bytes of a block. */
  readonly blockSize: number
}

export class NvmeController {
  readonly identity: Identity
  /** Pairs for reading and writing. */
  readonly queues: readonly QueuePair[]
  readonly #blocksPerPage: number

  private constructor(identity: Identity, queues: readonly QueuePair[]) {
    this.identity = identity
    this.#blocksPerPage = PAGE / identity.blockSize
    this.queues = queues
  }

  /** @param wanted pairs of queues; fewer when the controller or its interrupts have fewer */
  static async open(context: Context, device: Device, wanted: number): Promise<NvmeController> {
    device.enable()
    const registers = device.bar(0)
    const stride = 4 << (registers.read32(REG.cap + 4) & 0xf)
    await setEnabled(registers, false)
    const admin = new QueuePair({ context, registers, id: 0, depth: ADMIN_DEPTH, stride })
    registers.write32(REG.aqa, ((ADMIN_DEPTH - 1) << 16) | (ADMIN_DEPTH - 1))
    registers.write64(REG.asq, BigInt(admin.submissionsAt))
    registers.write64(REG.acq, BigInt(admin.completionsAt))
    const vectors = Math.min(wanted + 1, device.interruptCount('msix'))
    const interrupts = device.interrupts('msix', vectors)
    void admin.listen(interrupts.vector(0))
    await setEnabled(registers, true)

    const identity = await identify(admin)
    const granted = await command(admin, ADMIN.features, NUMBER_OF_QUEUES, (wanted - 1) * 0x1_0001)
    const count = Math.min(wanted, (granted & 0xffff) + 1, (granted >>> 16) + 1)
    const queues: QueuePair[] = []
    for (let id = 1; id <= count; id++) {
      const queue = new QueuePair({ context, registers, id, depth: DEPTH, stride })
      await createQueues(admin, queue, interrupts)
      queues.push(queue)
    }
    return new NvmeController(identity, queues)
  }

  /** One page of blocks, from the page of the slot to the disk. */
  write(queue: QueuePair, slot: number, page: number): Promise<number> {
    return queue.run(slot, this.#command(IO.write, page))
  }

  /** One page of blocks, from the disk to the page of the slot. */
  read(queue: QueuePair, slot: number, page: number): Promise<number> {
    return queue.run(slot, this.#command(IO.read, page))
  }

  /** The same as read(), told by `queue.finished`. */
  startRead(queue: QueuePair, slot: number, page: number): void {
    queue.submit(slot, this.#command(IO.read, page))
  }

  /** Pages that the namespace has. */
  get pages(): number {
    return Math.floor((this.identity.blocks * this.identity.blockSize) / PAGE)
  }

  /** Words of 32 bits: of the first block, the lower half and the upper one; blocks after the first. */
  #command(opcode: number, page: number): Command {
    const first = page * this.#blocksPerPage
    return { opcode, namespace: NAMESPACE, words: [first, first * UPPER, this.#blocksPerPage - 1] }
  }
}

/** Until the controller says that it is so. */
async function setEnabled(registers: Region, on: boolean): Promise<void> {
  const timeout = (registers.read32(REG.cap) >>> 24) * 500
  registers.write32(REG.cc, on ? ENABLE : 0)
  for (let waited = 0; waited <= timeout; waited += 1) {
    const status = registers.read32(REG.csts)
    if ((status & FATAL) !== 0 && on) throw new Error('the controller reports a fatal error')
    if ((status & READY) === (on ? READY : 0)) return
    await sleep(1)
  }
  throw new Error(`the controller is not ${on ? 'ready' : 'off'} within ${String(timeout)} ms`)
}

async function command(
  queue: QueuePair,
  opcode: number,
  ...words: [number?, number?]
): Promise<number> {
  return queue.use((slot) => queue.run(slot, { opcode, words }))
}

async function identify(admin: QueuePair): Promise<Identity> {
  const ask = (what: number, namespace: number): Promise<DataView> =>
    admin.use(async (slot) => {
      await admin.run(slot, { opcode: ADMIN.identify, namespace, words: [what] })
      return new DataView(admin.page(slot).slice().buffer)
    })
  const controller = await ask(1, 0)
  const space = await ask(0, NAMESPACE)
  const text = (from: number, length: number): string =>
    new TextDecoder().decode(new Uint8Array(controller.buffer, from, length)).trim()
  const format = space.getUint32(128 + 4 * (space.getUint8(26) & 0xf), true)
  return {
    ...{ serial: text(4, 20), model: text(24, 40) },
    blocks: Number(space.getBigUint64(0, true)),
    blockSize: 2 ** ((format >>> 16) & 0xff),
  }
}

/** Pairs share vectors when there are fewer of them. */
async function createQueues(
  admin: QueuePair,
  queue: QueuePair,
  interrupts: Interrupts,
): Promise<void> {
  const { id, depth } = queue
  const size = ((depth - 1) << 16) | id
  const vector = interrupts.count > 1 ? 1 + ((id - 1) % (interrupts.count - 1)) : 0
  const completions = {
    opcode: ADMIN.createCompletion,
    data: queue.completionsAt,
    words: [size, (vector << 16) | INTERRUPTS_ON | CONTIGUOUS] as const,
  }
  await admin.use((slot) => admin.run(slot, completions))
  const submissions = {
    opcode: ADMIN.createSubmission,
    data: queue.submissionsAt,
    words: [size, (id << 16) | CONTIGUOUS] as const,
  }
  await admin.use((slot) => admin.run(slot, submissions))
  void queue.listen(interrupts.vector(vector))
}
