/**
 * The Kernel port (kernel/kernel.ts) of a model: what one process sees and does.
 *
 * A write is a task in the model's scheduler. It is over at once, or it sleeps, as an unbind does while a
 * user has the device; every later call lets all tasks go on as far as they can. When the deadline passes
 * the caller is told so, but the task stays: on Linux nobody can take such a write back either.
 */
import { decodeUtf8, encodeUtf8 } from '../base/utf8.ts'
import {
  type EventCounter,
  type Handle,
  type Kernel,
  type KernelAction,
  KernelError,
  type Memory,
} from '../kernel/kernel.ts'
import { Errno } from './errno.ts'
import type { Model } from './model.ts'
import type { Task } from './task.ts'
import { ueventSource } from './uevent-source.ts'
import type { UserProcess } from './user-process.ts'

/** Time as the model needs it: the pure layers have no timers. */
export interface Clock {
  /** Calls back later. @returns a function that calls it off */
  after(milliseconds: number, callback: () => void): () => void
}

export interface ModelKernelOptions {
  readonly clock: Clock
  /** Whose view it is; a new root process unless given. */
  readonly process?: UserProcess
}

export interface ModelKernel extends Kernel {
  readonly process: UserProcess
}

const DEFAULT_LIMIT = 1024 * 1024

export function modelKernel(model: Model, { clock, process }: ModelKernelOptions): ModelKernel {
  const who = process ?? model.createProcess()
  const { files, context } = model
  const { scheduler } = context
  /** What waits may go on now. */
  const settled = <T>(action: KernelAction, path: string, body: () => T): T => {
    scheduler.settle()
    try {
      return body()
    } catch (cause) {
      throw asKernelError(cause, action, path)
    } finally {
      scheduler.settle()
    }
  }
  return {
    process: who,
    read: (path, limit = DEFAULT_LIMIT) =>
      settled('read', path, () => {
        const content = files.read(path, who)
        return (typeof content === 'string' ? encodeUtf8(content) : content).slice(0, limit)
      }),
    text: (path, limit = DEFAULT_LIMIT) =>
      settled('read', path, () => {
        const content = files.read(path, who)
        return typeof content === 'string' ? content.slice(0, limit) : decodeUtf8(content.subarray(0, limit))
      }),
    link: (path) => settled('link', path, () => files.link(path)),
    list: (path) => settled('list', path, () => files.list(path)),
    exists: (path) => files.exists(path),
    write: (path, bytes, deadline) => {
      throw new Error('not yet')
    },
    open: () => { throw new Error('not yet') },
    handle: () => { throw new Error('not yet') },
    memory: () => { throw new Error('not yet') },
    eventCounter: () => { throw new Error('not yet') },
    events: () => ueventSource(context.uevents),
  }
}

function asKernelError(cause: unknown, action: KernelAction, path: string): unknown {
  return cause instanceof Errno ? new KernelError(cause.code, action, path) : cause
}
