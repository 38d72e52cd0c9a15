/**
 * The running kernel, read through node:fs, or a directory that holds sys/ and proc/ like one.
 *
 * Reading 10,000 functions is the hot path of every command, so files go through one scratch buffer
 * with open, read, close: half the time of readFileSync, which also asks for the size first.
 */
import { Buffer } from 'node:buffer'
import { closeSync, existsSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs'
import type { KernelAction, KernelView } from '../kernel.ts'
import { climbs, named, refuseClimbing } from './failure.ts'

const SCRATCH_BYTES = 64 * 1024
const DEFAULT_LIMIT = 1024 * 1024

/**
 * @param root directory in front of every path; "/" for this machine. Paths with a ".." are refused
 *   (EINVAL); absolute links inside the directory lead where they say, as for every program.
 */
export function nativeKernel(root = '/'): KernelView {
  const prefix = root.replace(/\/+$/, '')
  const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  return {
    read: (path, limit = DEFAULT_LIMIT) =>
      call('read', path, () => {
        const { bytes, length } = readWhole(prefix + path, path, limit, scratch)
        return Uint8Array.prototype.slice.call(bytes, 0, length)
      }),
    text: (path, limit = DEFAULT_LIMIT) =>
      call('read', path, () => {
        const { bytes, length } = readWhole(prefix + path, path, limit, scratch)
        return bytes.toString('utf8', 0, length)
      }),
    link: (path) => call('link', path, () => readlinkSync(prefix + path)),
    list: (path) => call('list', path, () => readdirSync(prefix + path)),
    exists: (path) => !climbs(path) && existsSync(prefix + path),
  }
}

function call<T>(action: KernelAction, path: string, body: () => T): T {
  refuseClimbing(action, path)
  return named(action, path, body)
}

/** The bytes stand in the scratch buffer, or in a new one when they do not fit. */
function readWhole(
  file: string,
  path: string,
  limit: number,
  scratch: Buffer,
): { bytes: Buffer; length: number } {
  const fd = openSync(file, 'r')
  try {
    const first = readSync(fd, scratch, 0, Math.min(limit, scratch.length), null)
    // sysfs gives an attribute in one read; only proc files stop early although there is more.
    const more = first === scratch.length || (first > 0 && path.startsWith('/proc/'))
    if (!more || first >= limit) return { bytes: scratch, length: first }
    return readRest(fd, Buffer.from(scratch.subarray(0, first)), limit)
  } finally {
    closeSync(fd)
  }
}

function readRest(fd: number, start: Buffer, limit: number): { bytes: Buffer; length: number } {
  const parts = [start]
  let length = start.length
  while (length < limit) {
    const part = Buffer.allocUnsafe(Math.min(SCRATCH_BYTES, limit - length))
    const count = readSync(fd, part, 0, part.length, null)
    if (count === 0) break
    parts.push(part.subarray(0, count))
    length += count
  }
  return { bytes: Buffer.concat(parts, length), length }
}
