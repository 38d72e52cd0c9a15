/**
 * Reading facts through the Kernel port: a file that is not there, one that is not allowed and one
 * that holds something else are three different things.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import { KernelError, type KernelView } from '../kernel/kernel.ts'

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO'])

/** The text without surrounding blanks; null when the file does not exist; else unknown with the errno. */
export function readText(kernel: KernelView, path: string, limit?: number): Fact<string | null> {
  return attempt(path, () => kernel.text(path, limit).trim())
}

export function readLink(kernel: KernelView, path: string): Fact<string | null> {
  return attempt(path, () => kernel.link(path))
}

export function readList(kernel: KernelView, path: string): Fact<readonly string[] | null> {
  return attempt(path, () => kernel.list(path))
}

export function readBytes(kernel: KernelView, path: string): Fact<Uint8Array | null> {
  return attempt(path, () => kernel.read(path))
}

/** An absent file gives the stand-in instead of null. */
export function orElse<T>(fact: Fact<T | null>, absent: T): Fact<T> {
  if (!fact.known) return fact
  return known(fact.value ?? absent)
}

/** For files that should exist: an absent one is unknown too. */
export function required<T>(fact: Fact<T | null>, path: string): Fact<T> {
  if (!fact.known) return fact
  return fact.value === null ? unknown(`${path} does not exist`) : known(fact.value)
}

/**
 * A whole number from 0 to `max`, as most attributes are; null when the file does not exist, unknown when
 * it holds anything else: half a number must not pass for one, nor a huge one be counted up to.
 */
export function readCount(kernel: KernelView, path: string, max: number): Fact<number | null> {
  const text = readText(kernel, path)
  if (!text.known || text.value === null) return text.known ? known(null) : text
  const count = /^\d{1,15}$/.test(text.value) ? Number(text.value) : NaN
  if (count <= max) return known(count)
  const shown = text.value.slice(0, 40)
  return unknown(`${path} holds "${shown}", wanted a number from 0 to ${String(max)}`)
}

function attempt<T>(path: string, ask: () => T): Fact<T | null> {
  try {
    return known(ask())
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    return ABSENT.has(cause.code) ? known(null) : unknown(`${path}: ${explainErrno(cause.code)}`)
  }
}

function explainErrno(code: string): string {
  if (code === 'EACCES' || code === 'EPERM') return `${code}, needs root`
  if (code === 'ENOTRECORDED') return 'not part of the capture'
  return code
}

/** The last component of a link: the driver of ".../drivers/e1000e". */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}
