/** A kernel that can be looked at but not touched: dry runs and recorded machines. */
import { type EventSource, type Kernel, KernelError, type KernelView } from './kernel.ts'

/**
 * Changes and opens are refused with EROFS, as on a read-only mount; no events ever come. Who owns a file is
 * not part of a view: unless it tells, stat fails with ENOSYS.
 */
export function readOnly(view: KernelView & Partial<Pick<Kernel, 'stat'>>): Kernel {
  return {
    read: (path, limit) => view.read(path, limit),
    text: (path, limit) => view.text(path, limit),
    link: (path) => view.link(path),
    list: (path) => view.list(path),
    exists: (path) => view.exists(path),
    stat: (path) => {
      if (view.stat === undefined) throw new KernelError('ENOSYS', 'stat', path)
      return view.stat(path)
    },
    setOwner: (path) => Promise.reject(new KernelError('EROFS', 'chown', path)),
    setMode: (path) => Promise.reject(new KernelError('EROFS', 'chmod', path)),
    expectWrites: () => undefined,
    loadModule: (name) => Promise.reject(new KernelError('EROFS', 'load', name)),
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
