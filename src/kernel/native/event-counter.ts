/**
 * Eventfds: the kernel adds, we read and reset. Watched by Node's own event loop, without a thread.
 *
 * One that is waited for stays watched between waits: making and removing a watch costs more than what it tells. What
 * comes while nobody waits is remembered and ends the watch, so that a device nobody looks at costs nothing.
 */
import { closeSync } from 'node:fs'
import { type EventCounter, KernelError } from '../kernel.ts'
import { calls, checked, lastErrno, type Watch, watchReadable } from './libc.ts'

const EFD_CLOEXEC = 0x80000
const EFD_NONBLOCK = 0x800
const NAME = 'eventfd'
const COUNT_BYTES = 8

interface Waiter {
  resolve(): void
  reject(error: KernelError): void
}

/** @throws KernelError EMFILE, ENFILE */
export function openEventCounter(): EventCounter {
  return new NativeEventCounter(
    checked(calls().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'open', NAME),
  )
}

class NativeEventCounter implements EventCounter {
  readonly descriptor: number
  readonly #libc = calls()
  readonly #count = new Uint32Array(new ArrayBuffer(COUNT_BYTES))
  readonly #countBytes = new Uint8Array(this.#count.buffer)
  /** Read already, and not taken yet. */
  #pending = 0
  #waiters: Waiter[] = []
  #watch: Watch | null = null
  #isHeld = false
  #isClosed = false

  constructor(descriptor: number) {
    this.descriptor = descriptor
  }

  take(): number {
    if (this.#isClosed) throw new KernelError('EBADF', 'read', NAME)
    const count = this.#pending > 0 ? this.#pending : this.#read()
    this.#pending = 0
    return count
  }

  ready(hold = true): Promise<void> {
    if (this.#isClosed) return Promise.reject(new KernelError('EBADF', 'read', NAME))
    if (this.#pending > 0) return Promise.resolve()
    this.#watch ??= watchReadable(this.descriptor, () => {
      this.#wake()
    })
    if (hold) this.#hold(true)
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject })
    })
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#unwatch()
    closeSync(this.descriptor)
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.reject(new KernelError('EBADF', 'read', NAME))
  }

  #wake(): void {
    this.#pending += this.#read()
    if (this.#pending === 0) return
    const woken = this.#waiters
    if (woken.length === 0) {
      this.#unwatch()
      return
    }
    this.#waiters = []
    this.#hold(false)
    for (const waiter of woken) waiter.resolve()
  }

  #hold(hold: boolean): void {
    if (hold === this.#isHeld) return
    this.#isHeld = hold
    this.#watch?.hold(hold)
  }

  #unwatch(): void {
    this.#watch?.close()
    this.#watch = null
    this.#isHeld = false
  }

  /** Not by node:fs: it makes an exception of "nothing there". */
  #read(): number {
    if (Number(this.#libc.read(this.descriptor, this.#countBytes, COUNT_BYTES)) === COUNT_BYTES) {
      const [low = 0, high = 0] = this.#count
      return high * 2 ** 32 + low
    }
    const errno = lastErrno()
    if (errno === 'EAGAIN') return 0
    throw new KernelError(errno, 'read', NAME)
  }
}
