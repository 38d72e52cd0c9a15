/** A kernel that can be looked at but not touched: dry runs and recorded machines. */
import { type EventSource, type Kernel, KernelError, type KernelView } from './kernel.ts'

/** Writes and opens are refused with EROFS, as on a read-only mount; no events ever come. */
export function readOnly(view: KernelView): Kernel {
  return {
    read: (path, limit) => view.read(path, limit),
    text: (path, limit) => view.text(path, limit),
    link: (path) => view.link(path),
    list: (path) => view.list(path),
    exists: (path) => view.exists(path),
    write: (path) => Promise.reject(new KernelError('EROFS', 'write', path)),
    open: (path) => Promise.reject(new KernelError('EROFS', 'open', path)),
    handle: (_descriptor, name) => {
      throw new KernelError('EBADF', 'open', name)
    },
    memory: () => {
      throw new KernelError('EROFS', 'memory', 'anonymous')
    },
    eventCounter: () => {
      throw new KernelError('EROFS', 'open', 'eventfd')
    },
    events: () => noEvents(),
  }
}

function noEvents(): EventSource {
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.resolve({ done: true as const, value: undefined }),
    }),
    close: () => Promise.resolve(),
  }
}
