/** A kernel that gives the answers of a recording; what nobody asked then, nobody knows now. */
import { type KernelAction, KernelError, type KernelView } from './kernel.ts'
import { decodeBytes, type RecordedFailure, type Recording } from './recording.ts'

/** Thrown for paths outside the recording; never confused with the kernel's own ENOENT. */
export const NOT_RECORDED = 'ENOTRECORDED'

export function recordedKernel(recording: Recording): KernelView {
  function answer<T>(
    from: Record<string, T | RecordedFailure>,
    action: KernelAction,
    path: string,
  ): T {
    const found = Object.hasOwn(from, path) ? from[path] : undefined
    if (found === undefined) throw new KernelError(NOT_RECORDED, action, path)
    if (isFailure(found)) throw new KernelError(found.error, action, path)
    return found
  }
  return {
    read: (path, limit) =>
      decodeBytes(answer(recording.bytes, 'read', path)).slice(0, limit ?? undefined),
    text: (path, limit) => answer(recording.text, 'read', path).slice(0, limit ?? undefined),
    link: (path) => answer(recording.link, 'link', path),
    list: (path) => answer(recording.list, 'list', path),
    exists: (path) => Object.hasOwn(recording.exists, path) && recording.exists[path] === true,
  }
}

function isFailure(found: unknown): found is RecordedFailure {
  return typeof found === 'object' && found !== null && 'error' in found
}
