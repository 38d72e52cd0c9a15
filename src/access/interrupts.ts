/**
 * Interrupts as async iterables. The kernel counts each in an eventfd, which Node's own event loop watches, so no
 * thread waits; what came while nobody looked is one value with its count.
 *
 *     for await (const count of device.interrupts('msix', 2).vector(0)) ...
 *
 * The loop ends when the interrupts are closed, and throws DeviceRemovedError when their device was taken away.
 */
import { type EventCounter, type Kernel, KernelError } from '../kernel/kernel.ts'
import { INTERRUPT, type VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { DeviceRemovedError } from './device-removed-error.ts'

export type InterruptKind = 'intx' | 'msi' | 'msix'

export interface InterruptVector extends AsyncIterable<number> {
  /** Takes what has come since the last time without waiting; 0 = nothing. @throws as next */
  take(): number
  /** Until something came. @returns how many @throws InterruptsClosedError, DeviceRemovedError */
  next(): Promise<number>
}

/** Nothing comes any more: the program closed the interrupts, their device or the context. */
export class InterruptsClosedError extends Error {
  constructor(address: string) {
    super(`interrupts of ${address} are closed`)
    this.name = 'InterruptsClosedError'
  }
}

export class Interrupts {
  readonly kind: InterruptKind
  readonly #device: VfioDeviceFile
  readonly #counters: EventCounter[] = []
  readonly #isAutomasked: boolean
  #isClosed = false
  #isRemoved = false

  /** @param count vectors, at least 1 @throws RangeError: the device has fewer; KernelError */
  constructor(kernel: Kernel, device: VfioDeviceFile, kind: InterruptKind, count: number) {
    this.kind = kind
    this.#device = device
    const { count: available, automasked } = device.interrupt(INTERRUPT[kind])
    if (!Number.isInteger(count) || count < 1 || count > available) {
      throw new RangeError(
        `${device.address} has ${String(available)} interrupts of kind ${kind}, and ${String(count)} are wanted`,
      )
    }
    this.#isAutomasked = automasked
    try {
      while (this.#counters.length < count) this.#counters.push(kernel.eventCounter())
      const descriptors = this.#counters.map(({ descriptor }) => descriptor)
      device.signalWith(INTERRUPT[kind], descriptors)
    } catch (cause) {
      for (const counter of this.#counters) counter.close()
      throw cause
    }
  }

  /** Vectors. */
  get count(): number {
    return this.#counters.length
  }

  /** @param index from 0 @throws RangeError */
  vector(index: number): InterruptVector {
    const counter = this.#counters[index]
    if (counter === undefined) {
      throw new RangeError(`vector ${String(index)} of ${String(this.#counters.length)}`)
    }
    const take = (): number => this.#take(counter)
    const next = (): Promise<number> => this.#next(counter)
    return {
      take,
      next,
      [Symbol.asyncIterator]: () => ({ next: () => next().then(valueOf, endOf) }),
    }
  }

  /** Told by the device: whoever waits has lost it. */
  deviceRemoved(): void {
    this.#isRemoved = true
  }

  /** Switches them off; whoever waits is told. Twice is once. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#device.signalWith(INTERRUPT[this.kind], [])
    } catch (cause) {
      // A device that has gone signals nobody.
      if (!(cause instanceof KernelError)) throw cause
    }
    for (const counter of this.#counters) counter.close()
  }

  async #next(counter: EventCounter): Promise<number> {
    for (;;) {
      // Often it has come already: a read costs less than a turn of the event loop.
      const count = this.#take(counter)
      if (count > 0) return count
      try {
        await counter.ready()
      } catch (cause) {
        // Closed while it waited: taking says so in words.
        if (!(cause instanceof KernelError)) throw cause
      }
    }
  }

  #take(counter: EventCounter): number {
    if (this.#isRemoved) throw new DeviceRemovedError(this.#device.address)
    if (this.#isClosed) throw new InterruptsClosedError(this.#device.address)
    const count = counter.take()
    // INTx is masked by the kernel when it fires: all sharers of the line would wait.
    if (count > 0 && this.#isAutomasked) this.#device.unmask(INTERRUPT[this.kind])
    return count
  }
}

function valueOf(value: number): IteratorResult<number, undefined> {
  return { done: false, value }
}

/** The end of the interrupts is the end of the loop. */
function endOf(cause: unknown): IteratorResult<number, undefined> {
  if (cause instanceof InterruptsClosedError) return { done: true, value: undefined }
  throw cause
}
