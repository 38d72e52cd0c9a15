/**
 * Reads a whole file or pipe, but never more than a limit: sizes that a file system tells are no help
 * with pipes, devices and files that grow, and Node's readFile has no limit below two gibibytes.
 */
import { Buffer } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { IsogroupError } from '../base/errors.ts'

export interface ReadRequest {
  /** "-" is standard input. */
  readonly path: string
  readonly maxBytes: number
  /** What to do when it cannot be read. */
  readonly hint: string
}

/** @returns the bytes; null when there are more than maxBytes. @throws IsogroupError io */
export async function readBounded({ path, maxBytes, hint }: ReadRequest): Promise<Buffer | null> {
  const parts: Buffer[] = []
  let length = 0
  try {
    // A stream waits for standard input where a synchronous read fails with EAGAIN.
    const stream = path === '-' ? process.stdin : createReadStream(path)
    for await (const part of stream as AsyncIterable<Buffer>) {
      length += part.length
      if (length > maxBytes) return null
      parts.push(part)
    }
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? 'EIO'
    const what = path === '-' ? 'standard input' : path
    throw new IsogroupError('io', `cannot read ${what}: ${code}`, hint, { cause })
  }
  return Buffer.concat(parts, length)
}
