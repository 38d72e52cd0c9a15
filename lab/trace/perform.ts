/**
 * Does the steps of a trace on one kernel, real or model: holds the open files in their slots, the
 * memory that is mapped for devices and the event counters, and turns each call into an outcome.
 */
import type { EventCounter, Handle, Kernel, Memory } from '../../src/kernel/kernel.ts'
import { KernelError } from '../../src/kernel/kernel.ts'
import { GROUP_REQUEST } from '../../src/kernel/abi/vfio.ts'
import type { Argument, Operation, Outcome, Patch, SlotName, SlotTable } from './operation.ts'

export const SLOT_COUNTS: Readonly<Record<SlotTable, number>> = {
  container: 3,
  group: 4,
  device: 4,
}
export const COUNTER_COUNT = 3
/** Memory for DMA, in bytes. */
export const MEMORY_BYTES: number = 16 * 4096

/** A driver may reset hardware, and an emulated machine is slow; nothing that ends takes this long. */
const WRITE_DEADLINE_MS = 60_000
/** For writes that will not end before something is closed. */
const BLOCKED_DEADLINE_MS = 600
/** What an empty slot gives to a call that wants a descriptor: never an open one. */
const NO_DESCRIPTOR = 0x7fff_0000

export type OpenFile = {
  readonly handle: Handle
  /** "/dev/vfio/9", or the device's address. */
  readonly name: string
}

export class Performer {
  readonly #kernel: Kernel
  readonly #files = new Map<string, OpenFile>()
  readonly #memory: Memory
  readonly #counters: readonly EventCounter[]

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    this.#memory = kernel.memory(MEMORY_BYTES)
    this.#counters = Array.from({ length: COUNTER_COUNT }, () => kernel.eventCounter())
  }

  /** What is open in a slot. */
  file(slot: SlotName): OpenFile | undefined {
    return this.#files.get(slot.join(' '))
  }

  /** Does one step. Hardware steps are not for this side. */
  async perform(operation: Operation): Promise<Outcome> {
    try {
      return await this.#attempt(operation)
    } catch (error) {
      if (error instanceof KernelError) return { error: error.code }
      throw error
    }
  }

  async #attempt(operation: Operation): Promise<Outcome> {
    switch (operation.kind) {
      case 'write':
        await this.#write(operation.path, operation.text, WRITE_DEADLINE_MS)
        return {}
      case 'blocked-write':
        return this.#blockedWrite(operation)
      case 'read':
        return { value: this.#kernel.text(operation.path) }
      case 'open':
        return this.#keep(operation.slot, operation.path, () => this.#kernel.open(operation.path))
      case 'open-device':
        return this.#openDevice(operation)
      case 'ioctl':
        return this.#ioctl(operation.on, operation.request, operation.argument)
      case 'close':
        await this.#close(operation.slot)
        return {}
      case 'take':
        return { value: this.#counters[operation.counter]?.take() ?? 0 }
      case 'plug':
      case 'unplug':
        throw new Error(`${operation.kind} is a step for who holds the hardware`)
    }
  }

  async #write(path: string, text: string, deadline: number): Promise<void> {
    await this.#kernel.write(path, Buffer.from(text, 'latin1'), deadline)
  }

  async #blockedWrite(operation: Operation & { kind: 'blocked-write' }): Promise<Outcome> {
    let error = 'none'
    try {
      await this.#write(operation.path, operation.text, BLOCKED_DEADLINE_MS)
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause
      error = cause.code
    }
    for (const slot of operation.close) await this.#close(slot)
    return { error }
  }

  async #keep(slot: SlotName, name: string, open: () => Promise<Handle>): Promise<Outcome> {
    const key = slot.join(' ')
    const handle = await open()
    // A slot that is taken only shows whether opening works: what it holds stays.
    if (this.#files.has(key)) await handle.close()
    else this.#files.set(key, { handle, name })
    return { value: 'descriptor' }
  }

  async #openDevice(operation: Operation & { kind: 'open-device' }): Promise<Outcome> {
    const group = this.file(operation.group)
    if (group === undefined) return { error: 'EMPTY' }
    const name = Buffer.from(`${operation.name}\0`, 'latin1')
    const descriptor = group.handle.ioctl(GROUP_REQUEST.getDeviceDescriptor, name)
    return this.#keep(operation.slot, operation.name, () =>
      Promise.resolve(this.#kernel.handle(descriptor, operation.name)),
    )
  }

  #ioctl(on: SlotName, request: number, argument: Argument): Outcome {
    const file = this.file(on)
    if (file === undefined) return { error: 'EMPTY' }
    if ('number' in argument) return { value: file.handle.ioctl(request, argument.number) }
    const bytes = Buffer.from(argument.hex, 'hex')
    for (const patch of argument.patches) this.#put(bytes, patch)
    const hidden = (): string => {
      for (const patch of argument.patches) {
        bytes.fill(0, patch.at, patch.at + (patch.put === 'address' ? 8 : 4))
      }
      return bytes.toString('hex')
    }
    try {
      return { value: file.handle.ioctl(request, bytes), hex: hidden() }
    } catch (error) {
      if (error instanceof KernelError) return { error: error.code, hex: hidden() }
      throw error
    }
  }

  #put(bytes: Buffer, patch: Patch): void {
    switch (patch.put) {
      case 'address':
        bytes.writeBigUInt64LE(BigInt(this.#memory.address) + BigInt(patch.offset), patch.at)
        break
      case 'descriptor':
        bytes.writeInt32LE(this.file(patch.of)?.handle.descriptor ?? NO_DESCRIPTOR, patch.at)
        break
      case 'counter':
        bytes.writeInt32LE(this.#counters[patch.index]?.descriptor ?? NO_DESCRIPTOR, patch.at)
        break
    }
  }

  async #close(slot: SlotName): Promise<void> {
    const file = this.file(slot)
    this.#files.delete(slot.join(' '))
    await file?.handle.close()
  }
}
