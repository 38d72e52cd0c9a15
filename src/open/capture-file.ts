/**
 * Capture files: gzip of one JSON document (linux/capture.ts), or the JSON itself. Files come from
 * strangers: sizes are limited and every member is checked before anything is believed.
 */
import { Buffer } from 'node:buffer'
import { writeFileSync } from 'node:fs'
import { gunzipSync, gzipSync } from 'node:zlib'
import { IsogroupError } from '../base/errors.ts'
import { emptyRecording, type Recording } from '../kernel/recording.ts'
import { CAPTURE_VERSION, type CaptureDocument } from '../linux/capture.ts'
import { PCI_DEVICES } from '../linux/functions.ts'
import { readBounded } from './bounded-read.ts'
import { shownValue } from './shown-value.ts'

/** Packed or not: ten times a host of 10,000 functions (20 MiB), and within what a string can hold. */
const DOCUMENT_BYTES_MAX = 256 * 1024 * 1024
/** Config space is 4096 bytes; nothing else is recorded as bytes. */
const RECORDED_BYTES_MAX = 64 * 1024

/** @throws IsogroupError io (cannot write; `flag` "wx" refuses an existing file) */
export function writeCapture(path: string, document: CaptureDocument, overwrite: boolean): void {
  const bytes = gzipSync(Buffer.from(JSON.stringify(document), 'utf8'))
  try {
    writeFileSync(path, bytes, { flag: overwrite ? 'w' : 'wx', mode: 0o644 })
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? 'EIO'
    const hint =
      code === 'EEXIST'
        ? 'Name another file, or add --force to replace it.'
        : 'Name a file that can be written.'
    throw new IsogroupError('io', `cannot write ${path}: ${code}`, hint, { cause })
  }
}

/** The parsed JSON of a capture or machine file, whatever it holds. @throws IsogroupError bad-capture, io */
export async function readJsonFile(path: string): Promise<unknown> {
  const bytes = await readFile(path)
  const text = bytes[0] === 0x1f && bytes[1] === 0x8b ? inflate(path, bytes) : bytes
  try {
    return JSON.parse(text.toString('utf8')) as unknown
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : ''
    throw bad(`${path} is neither a capture nor a machine file: ${why.slice(0, 120)}`, cause)
  }
}

async function readFile(path: string): Promise<Buffer> {
  const hint = 'Check the name of the file.'
  const bytes = await readBounded({ path, maxBytes: DOCUMENT_BYTES_MAX, hint })
  if (bytes !== null) return bytes
  throw bad(`${path} has more than the ${String(DOCUMENT_BYTES_MAX)} bytes that are read`)
}

function inflate(path: string, bytes: Buffer): Buffer {
  try {
    return gunzipSync(bytes, { maxOutputLength: DOCUMENT_BYTES_MAX })
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') {
      throw bad(
        `${path} unpacks to more than the ${String(DOCUMENT_BYTES_MAX)} bytes that are read`,
      )
    }
    const why = cause instanceof Error ? cause.message : ''
    throw bad(`${path} is damaged or cut off: ${why}`, cause)
  }
}

/** Checks a parsed document. @throws IsogroupError bad-capture, newer-version */
export function checkCapture(
  json: unknown,
  path: string,
): { source: string; recording: Recording } {
  const root = object(json, path, 'the document')
  const version = root['version']
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw bad(`${path}: version is ${shownValue(version)}, wanted a whole number from 1`)
  }
  if (version > CAPTURE_VERSION) {
    throw new IsogroupError(
      'newer-version',
      `${path} has capture version ${String(version)}; versions up to ${String(CAPTURE_VERSION)} can be read`,
      'Use a newer isogroup.',
    )
  }
  if (typeof root['source'] !== 'string')
    throw bad(`${path}: source is ${shownValue(root['source'])}, wanted a text`)
  return { source: root['source'], recording: checkRecording(root['recording'], path) }
}

function checkRecording(json: unknown, path: string): Recording {
  const parts = object(json, path, 'recording')
  const recording = emptyRecording()
  copy(parts, 'text', path, recording.text, (value) => (typeof value === 'string' ? value : null))
  copy(parts, 'link', path, recording.link, (value) => (typeof value === 'string' ? value : null))
  copy(parts, 'list', path, recording.list, (value) =>
    Array.isArray(value) && value.every((name) => typeof name === 'string') ? value : null,
  )
  copy(parts, 'bytes', path, recording.bytes, recordedBytes)
  if (!Array.isArray(recording.list[PCI_DEVICES])) {
    throw bad(`${path}: recording.list has no "${PCI_DEVICES}", so it holds no devices`)
  }
  const exists = object(parts['exists'], path, 'recording.exists')
  for (const [name, value] of Object.entries(exists)) {
    if (typeof value !== 'boolean')
      throw bad(
        `${path}: recording.exists["${name}"] is ${shownValue(value)}, wanted true or false`,
      )
    recording.exists[name] = value
  }
  return recording
}

function copy<T>(
  parts: Record<string, unknown>,
  part: string,
  path: string,
  to: Record<string, T | { error: string }>,
  check: (value: unknown) => T | null,
): void {
  for (const [name, value] of Object.entries(object(parts[part], path, `recording.${part}`))) {
    const checked = recordedFailure(value) ?? check(value)
    if (checked === null)
      throw bad(
        `${path}: recording.${part}["${name}"] is ${shownValue(value)}, which is no ${part} answer`,
      )
    to[name] = checked
  }
}

function recordedFailure(value: unknown): { error: string } | null {
  if (typeof value !== 'object' || value === null || !('error' in value)) return null
  return typeof value.error === 'string' ? { error: value.error } : null
}

function recordedBytes(value: unknown): { hex: string; size: number } | null {
  if (typeof value !== 'object' || value === null || !('hex' in value) || !('size' in value))
    return null
  const { hex, size } = value
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > RECORDED_BYTES_MAX)
    return null
  if (typeof hex !== 'string' || hex.length > 2 * size || hex.length % 2 !== 0) return null
  return /^[0-9a-f]*$/.test(hex) ? { hex, size } : null
}

function object(json: unknown, path: string, what: string): Record<string, unknown> {
  if (typeof json === 'object' && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>
  throw bad(`${path}: ${what} is ${shownValue(json)}, wanted an object`)
}

function bad(message: string, cause?: unknown): IsogroupError {
  return new IsogroupError('bad-capture', message, 'Make a new one with `isogroup capture FILE`.', {
    cause,
  })
}
