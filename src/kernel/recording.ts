/**
 * What a kernel answered, as plain data: the content of a capture.
 *
 * Each call is kept apart, since one path can be listed, read as a link and asked for existence.
 * Bytes are hexadecimal with trailing zeros cut off: config space is mostly zeros.
 */
export interface Recording {
  readonly text: Record<string, string | RecordedFailure>
  readonly bytes: Record<string, RecordedBytes | RecordedFailure>
  readonly link: Record<string, string | RecordedFailure>
  readonly list: Record<string, readonly string[] | RecordedFailure>
  readonly exists: Record<string, boolean>
}

export interface RecordedBytes {
  /** Lower-case hexadecimal; what is missing up to `size` is zeros. */
  readonly hex: string
  readonly size: number
}

export interface RecordedFailure {
  /** Errno by name. */
  readonly error: string
}

/** Without prototypes: a path may be called "constructor". */
export function emptyRecording(): Recording {
  const bare = (): Record<string, never> => Object.create(null) as Record<string, never>
  return { text: bare(), bytes: bare(), link: bare(), list: bare(), exists: bare() }
}

export function encodeBytes(bytes: Uint8Array): RecordedBytes {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  let hex = ''
  for (let i = 0; i < end; i++) hex += (bytes[i] ?? 0).toString(16).padStart(2, '0')
  return { hex, size: bytes.length }
}

export function decodeBytes(recorded: RecordedBytes): Uint8Array {
  const bytes = new Uint8Array(recorded.size)
  const count = Math.min(recorded.hex.length >> 1, recorded.size)
  for (let i = 0; i < count; i++) bytes[i] = parseInt(recorded.hex.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
