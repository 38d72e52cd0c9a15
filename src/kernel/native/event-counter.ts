/** Eventfds: the kernel adds, we read and reset. Watched by Node's own event loop, without a thread. */
import { closeSync, readSync } from 'node:fs'
import { type EventCounter, KernelError } from '../kernel.ts'
import { errnoOf } from './failure.ts'
import { calls, checked, type Watch, watchReadable } from './libc.ts'

const EFD_CLOEXEC = 0x80000
const EFD_NONBLOCK = 0x800
const NAME = 'eventfd'

interface Waiter {
  resolve(): void
  reject(error: KernelError): void
}

/** @throws KernelError EMFILE, ENFILE */
export function openEventCounter(): EventCounter {
  const descriptor = checked(calls().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), 'open', NAME)
  const value = new BigUint64Array(1)
  let waiters: Waiter[] = []
  let watch: Watch | null = null
  let closed = false
  // Level-triggered: it would call for ever until somebody takes the count, so it is watched only
  // while somebody waits.
  const unwatch = (): void => {
    watch?.close()
    watch = null
  }
  return {
    descriptor,
    take() {
      if (closed) throw new KernelError('EBADF', 'read', NAME)
      try {
        readSync(descriptor, value)
      } catch (cause) {
        if (errnoOf(cause) === 'EAGAIN') return 0
        throw new KernelError(errnoOf(cause), 'read', NAME)
      }
      return Number(value[0] ?? 0n)
    },
    ready(hold = true) {
      if (closed) return Promise.reject(new KernelError('EBADF', 'read', NAME))
      watch ??= watchReadable(descriptor, () => {
        unwatch()
        const woken = waiters
        waiters = []
        for (const waiter of woken) waiter.resolve()
      })
      if (hold) watch.hold(true)
      return new Promise((resolve, reject) => {
        waiters.push({ resolve, reject })
      })
    },
    close() {
      if (closed) return
      closed = true
      unwatch()
      closeSync(descriptor)
      for (const waiter of waiters) waiter.reject(new KernelError('EBADF', 'read', NAME))
      waiters = []
    },
  }
}
