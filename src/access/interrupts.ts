/**
 * Interrupts as async iterables. The kernel counts each in an eventfd, which Node's own event loop watches, so no
 * thread waits; what came while nobody looked is one value with its count.
 *
 *     for await (const count of device.interrupts('msix', 2).vector(0)) ...
 */
import { type EventCounter, type Kernel, KernelError } from '../kernel/kernel.ts'
import { INTERRUPT, type VfioDeviceFile } from '../linux/vfio/vfio-device.ts'

export type InterruptKind = 'intx' | 'msi' | 'msix'

export interface InterruptVector extends AsyncIterable<number> {
  /** Takes what has come since the last time without waiting; 0 = nothing. */
  take(): number
  /** Until something came. @returns how many @throws KernelError EBADF when they are closed */
  next(): Promise<number>
}

export class Interrupts {
  readonly kind: InterruptKind
  readonly #device: VfioDeviceFile
  readonly #counters: readonly EventCounter[]
  readonly #isAutomasked: boolean
  #isClosed = false

  /** @param count vectors, at least 1 @throws RangeError: the device has fewer; KernelError */
  constructor(kernel: Kernel, device: VfioDeviceFile, kind: InterruptKind, count: number) {
    this.kind = kind
    this.#device = device
    const { count: available, automasked } = device.interrupt(INTERRUPT[kind])
    if (count < 1 || count > available) {
      throw new RangeError(
        `${device.address} has ${String(available)} interrupts of kind ${kind}, and ${String(count)} are wanted`,
      )
    }
    this.#isAutomasked = automasked
    this.#counters = Array.from({ length: count }, () => kernel.eventCounter())
    try {
      const descriptors = this.#counters.map(({ descriptor }) => descriptor)
      device.signalWith(INTERRUPT[kind], descriptors)
    } catch (cause) {
      for (const counter of this.#counters) counter.close()
      throw cause
    }
  }

  get count(): number {
    return this.#counters.length
  }

  /** @param index from 0 @throws RangeError */
  vector(index: number): InterruptVector {
    const counter = this.#counters[index]
    if (counter === undefined) {
      throw new RangeError(`vector ${String(index)} of ${String(this.#counters.length)}`)
    }
    const unmask = (): void => {
      if (this.#isAutomasked) this.#device.unmask(INTERRUPT[this.kind])
    }
    const next = async (): Promise<number> => {
      for (;;) {
        const count = counter.take()
        if (count > 0) {
          unmask()
          return count
        }
        await counter.ready()
      }
    }
    return {
      take() {
        const count = counter.take()
        if (count > 0) unmask()
        return count
      },
      next,
      [Symbol.asyncIterator]: () => ({ next: () => this.#valueOf(next()) }),
    }
  }

  /** The end of the interrupts is the end of the loop. */
  async #valueOf(next: Promise<number>): Promise<IteratorResult<number, undefined>> {
    try {
      return { done: false, value: await next }
    } catch (cause) {
      if (this.#isClosed && cause instanceof KernelError) return { done: true, value: undefined }
      throw cause
    }
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
}
