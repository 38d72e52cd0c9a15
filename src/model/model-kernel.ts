/**
 * The Kernel port (kernel/kernel.ts) of a model: what one process sees and does.
 *
 * A write is a task in the model's scheduler. It is over at once, or it sleeps, as an unbind does while a
 * user has the device; every later call lets all tasks go on as far as they can. When the deadline passes
 * the caller is told so, but the task stays: on Linux nobody can take such a write back either.
 */
import { decodeUtf8, encodeUtf8 } from '../base/utf8.ts'
import type { Kernel } from '../kernel/kernel.ts'
import { Errno } from './errno.ts'
import { callsInto, climbs, type Clock } from './kernel-calls.ts'
import { processEventCounter } from './kernel-event-counter.ts'
import { processHandle } from './kernel-handle.ts'
import type { Model } from './model.ts'
import type { OpenFile } from './process.ts'
import type { Task } from './task.ts'
import { ueventSource } from './uevent-source.ts'
import type { UserProcess } from './user-process.ts'

export interface ModelKernelOptions {
  readonly clock: Clock
  /** Whose view it is; a new root process unless given. */
  readonly process?: UserProcess
}

export interface ModelKernel extends Kernel {
  /** Whose view this is. */
  readonly process: UserProcess
  /** The same machine as another process sees it. */
  as(process: UserProcess): ModelKernel
  /**
   * The process ends, however: the kernel closes all it had open. Resolves when that is done, which may
   * take as long as somebody else holds what it needs.
   */
  kill(): Promise<void>
}

const DEFAULT_LIMIT = 1024 * 1024

export function modelKernel(model: Model, { clock, process }: ModelKernelOptions): ModelKernel {
  const who = process ?? model.createProcess()
  const { files, vfio, context } = model
  const calls = callsInto(context.scheduler, clock)
  return {
    process: who,
    read: (path, limit = DEFAULT_LIMIT) =>
      calls.now('read', path, () => {
        const content = files.read(path, who)
        const bytes = typeof content === 'string' ? encodeUtf8(content) : content
        return bytes.slice(0, limit)
      }),
    text: (path, limit = DEFAULT_LIMIT) =>
      calls.now('read', path, () => {
        const content = files.read(path, who)
        if (typeof content !== 'string') return decodeUtf8(content.subarray(0, limit))
        return content.length <= limit ? content : decodeUtf8(encodeUtf8(content).slice(0, limit))
      }),
    link: (path) => calls.now('link', path, () => files.link(path, who)),
    list: (path) => calls.now('list', path, () => files.list(path, who)),
    exists: (path) => !climbs(path) && calls.now('read', path, () => files.exists(path, who)),
    // The caller may use its buffer again at once; the task looks at it whenever it runs.
    write: (path, bytes, deadline) =>
      calls.later('write', path, writeFile(path, bytes.slice()), deadline),
    expectWrites: () => undefined,
    stat: (path) => calls.now('stat', path, () => files.owner(path, who)),
    setOwner: (path, uid, gid) =>
      settled(() => {
        calls.now('chown', path, () => {
          files.change(path, { uid, gid }, who)
        })
      }),
    setMode: (path, mode) =>
      settled(() => {
        calls.now('chmod', path, () => {
          files.change(path, { mode }, who)
        })
      }),
    loadModule: (name, deadline) =>
      calls.later('load', name, model.loadModule(name, who), deadline),
    open: (path) =>
      settled(() =>
        calls.now('open', path, () => {
          const descriptor = who.install(openNode(model, path, who))
          return processHandle(calls, who, descriptor, path)
        }),
      ),
    handle: (descriptor, name) => processHandle(calls, who, descriptor, name),
    memory: (length, pages) =>
      calls.now('memory', 'anonymous', () => who.memory.allocate(length, pages)),
    eventCounter: () => processEventCounter(calls, who),
    events: () => ueventSource(context.uevents),
    as: (other) => modelKernel(model, { clock, process: other }),
    kill: () => calls.later('open', who.name, who.exit(), null),
  }

  function* writeFile(path: string, bytes: Uint8Array): Task<void> {
    const shown = files.exists(path) ? files.resolved(path) : path
    yield* who.writing(shown, files.write(path, bytes, who))
  }

  function openNode(of: Model, path: string, by: UserProcess): OpenFile {
    if (vfio.node(path) !== undefined) return vfio.open(path, by)
    // Everything else under /dev/vfio is gone or never was; other files have no device behind them.
    const node = of.files.node(path)
    throw new Errno(node.kind === 'directory' ? 'EISDIR' : 'ENXIO', path)
  }
}

/** A promise of what a synchronous call gives or throws. */
function settled<T>(body: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(body())
  })
}
