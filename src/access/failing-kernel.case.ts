/** A kernel that says no to a program now and then: every call that can fail is counted, and some of them fail. */
import { type Handle, type Kernel, type KernelAction, KernelError } from '../kernel/kernel.ts'

/** Asked before each call. @param n calls before this one @returns errno; null: the call is made */
export type Fate = (n: number, action: KernelAction) => string | null

export interface FailingKernel extends Kernel {
  /** Calls so far. */
  readonly calls: number
}

export function failingKernel(kernel: Kernel, fate: Fate): FailingKernel {
  let calls = 0
  const pass = (action: KernelAction, path: string): void => {
    const code = fate(calls, action)
    calls += 1
    if (code !== null) throw new KernelError(code, action, path)
  }
  const handle = (real: Handle, path: string): Handle => ({
    descriptor: real.descriptor,
    ioctl: (request, argument) => {
      pass('ioctl', path)
      return real.ioctl(request, argument)
    },
    ioctlAgain: (request, argument) => {
      const call = real.ioctlAgain(request, argument)
      return () => {
        pass('ioctl', path)
        return call()
      }
    },
    read: (offset, length) => {
      pass('read', path)
      return real.read(offset, length)
    },
    write: (offset, bytes) => {
      pass('write', path)
      return real.write(offset, bytes)
    },
    map: (offset, length) => {
      pass('map', path)
      return real.map(offset, length)
    },
    close: () => real.close(),
  })
  return {
    ...kernel,
    get calls() {
      return calls
    },
    open: async (path) => {
      pass('open', path)
      return handle(await kernel.open(path), path)
    },
    handle: (descriptor, name) => handle(kernel.handle(descriptor, name), name),
    link: (path) => {
      pass('link', path)
      return kernel.link(path)
    },
    memory: (length, pages) => {
      pass('memory', 'anonymous')
      return kernel.memory(length, pages)
    },
    eventCounter: () => {
      pass('open', 'eventfd')
      return kernel.eventCounter()
    },
  }
}
