/**
 * How calls of the Kernel port reach a model. Around every call all tasks go on as far as they can: what
 * one call did may be what a task of an earlier one sleeps for.
 */
import { type KernelAction, KernelError } from '../kernel/kernel.ts'
import { Errno } from './errno.ts'
import type { Scheduler, Task } from './task.ts'

/** Time as the model needs it: the pure layers have no timers. */
export interface Clock {
  /** Calls back later. @returns a function that calls it off */
  after(milliseconds: number, callback: () => void): () => void
}

export interface Calls {
  /** @throws KernelError for every Errno */
  now<T>(action: KernelAction, path: string, body: () => T): T
  /** Runs a task, which may sleep. @param deadline milliseconds; null = however long it takes */
  later(
    action: KernelAction,
    path: string,
    task: Task<void>,
    deadline: number | null,
  ): Promise<void>
}

export function callsInto(scheduler: Scheduler, clock: Clock): Calls {
  return {
    now(action, path, body) {
      if (climbs(path)) throw new KernelError('EINVAL', action, path)
      scheduler.settle()
      try {
        return body()
      } catch (cause) {
        throw asKernelError(cause, action, path)
      } finally {
        scheduler.settle()
      }
    },
    later: (action, path, task, deadline) =>
      new Promise((resolve, reject) => {
        if (climbs(path)) throw new KernelError('EINVAL', action, path)
        let callOff = (): void => undefined
        const thread = scheduler.start(`${action} ${path}`, task, (outcome) => {
          callOff()
          if ('error' in outcome) reject(asError(outcome.error, action, path))
          else resolve()
        })
        scheduler.settle()
        if (thread.done || deadline === null) return
        callOff = clock.after(deadline, () => {
          reject(new KernelError('ETIMEDOUT', action, path))
        })
      }),
  }
}

/** As the native kernel: names come from what a tree says, and none of them leads out of the tree. */
export function climbs(path: string): boolean {
  return path.includes('/..') && path.split('/').includes('..')
}

function asKernelError(cause: unknown, action: KernelAction, path: string): unknown {
  return cause instanceof Errno ? new KernelError(cause.code, action, path) : cause
}

function asError(cause: unknown, action: KernelAction, path: string): Error {
  const error = asKernelError(cause, action, path)
  return error instanceof Error ? error : new Error(String(error))
}
