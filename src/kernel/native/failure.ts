/** From what Node and libc throw and return to KernelError: one place, so that every errno has its name. */
import { errnoName } from '../abi/errno.ts'
import { type KernelAction, KernelError } from '../kernel.ts'

/** The errno behind an error of node:fs: by number where it has one, for Node names only some. */
export function errnoOf(cause: unknown): string {
  const { errno, code } = (cause ?? {}) as { errno?: unknown; code?: unknown }
  if (typeof errno === 'number' && errno < 0) return errnoName(-errno)
  return typeof code === 'string' ? code : 'EIO'
}

/** Runs a call of node:fs. @throws KernelError */
export function named<T>(action: KernelAction, path: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    throw new KernelError(errnoOf(cause), action, path)
  }
}

/** Names come from what a tree lists and says: none of them may lead out of the tree. */
export function climbs(path: string): boolean {
  return path.includes('/..') && path.split('/').includes('..')
}

/** @throws KernelError EINVAL for a path that climbs */
export function refuseClimbing(action: KernelAction, path: string): void {
  if (climbs(path)) throw new KernelError('EINVAL', action, path)
}
