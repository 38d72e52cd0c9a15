/** An eventfd of a process as the Kernel port's EventCounter. */
import { type EventCounter as Port, KernelError } from '../kernel/kernel.ts'
import { EventCounter } from './event-counter.ts'
import type { Calls } from './kernel-calls.ts'
import type { UserProcess } from './user-process.ts'

const NAME = 'eventfd'

export function processEventCounter(calls: Calls, process: UserProcess): Port {
  const counter = new EventCounter()
  const descriptor = process.install(counter)
  const cancellers = new Set<() => void>()
  let closed = false
  const badDescriptor = (): KernelError => new KernelError('EBADF', 'read', NAME)
  return {
    descriptor,
    take: () => {
      if (closed) throw badDescriptor()
      return calls.now('read', NAME, () => counter.take())
    },
    ready: () =>
      new Promise((resolve, reject) => {
        if (closed) {
          reject(badDescriptor())
          return
        }
        if (counter.count > 0) {
          resolve()
          return
        }
        const cancel = (): void => {
          stop()
          reject(badDescriptor())
        }
        const stop = counter.listen(() => {
          stop()
          cancellers.delete(cancel)
          resolve()
        })
        cancellers.add(cancel)
      }),
    close() {
      if (closed) return
      closed = true
      void calls.later('open', NAME, process.close(descriptor), null)
      for (const cancel of cancellers) cancel()
      cancellers.clear()
    },
  }
}
