/**
 * A folder of records in memory on which things go wrong: full disks, and processes that end at a given call,
 * before it, after it, or in the middle of its text. What is on the disk outlives the process.
 */
import { IsogroupError } from '../base/errors.ts'
import { Killed } from '../kernel/faulty.ts'
import type { StateDirectory } from './state-directory.ts'

/** Files by name. */
export type Disk = Map<string, string>

export type DiskFault =
  | { readonly kind: 'errno'; readonly at: number; readonly code: string }
  /** `bytes`: of an append that much is on the disk; of everything else, all or nothing. */
  | { readonly kind: 'kill'; readonly at: number; readonly bytes: number | 'all' }

export interface Life {
  /** Whether the process has ended; then everything it asks for throws Killed. */
  readonly killed: boolean
  kill(): void
}

export interface LossyDirectory extends StateDirectory {
  /** Changes so far, that were asked for: "append claim-00000001.journal". */
  readonly changes: readonly string[]
}

/** @param life ends when a fault says so, and is asked before each call */
export function lossyDirectory(
  disk: Disk,
  life: Life,
  faults: readonly DiskFault[] = [],
): LossyDirectory {
  const changes: string[] = []
  const alive = (): void => {
    if (life.killed) throw new Killed()
  }
  const change = (what: string, make: (bytes: number) => void): void => {
    alive()
    const number = changes.push(what)
    const fault = faults.find(({ at }) => at === number)
    if (fault?.kind === 'errno') {
      throw new IsogroupError('io', `cannot ${what}: ${fault.code}`, '', { cause: fault })
    }
    if (fault === undefined) make(Number.POSITIVE_INFINITY)
    else {
      make(fault.bytes === 'all' ? Number.POSITIVE_INFINITY : fault.bytes)
      life.kill()
    }
    alive()
  }
  return {
    changes,
    place: 'disk',
    list: () => {
      alive()
      return [...disk.keys()]
    },
    read: (name) => {
      alive()
      return disk.get(name) ?? null
    },
    append: (name, text) =>
      change(`append ${name}`, (bytes) => {
        if (bytes > 0) disk.set(name, (disk.get(name) ?? '') + text.slice(0, bytes))
      }),
    replace: (name, text) =>
      change(`replace ${name}`, (bytes) => {
        if (bytes > 0) disk.set(name, text)
      }),
    remove: (name) =>
      change(`remove ${name}`, (bytes) => {
        if (bytes > 0) disk.delete(name)
      }),
    lock: () => {
      alive()
      // A lock of a dead process is taken over, which file-lock.test.ts is about.
      return Promise.resolve(() => undefined)
    },
  }
}
