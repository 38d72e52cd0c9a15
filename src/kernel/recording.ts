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
  return { hex: toHex(bytes, end), size: bytes.length }
}

export function decodeBytes(recorded: RecordedBytes): Uint8Array {
  const { hex } = recorded
  const bytes = new Uint8Array(recorded.size)
  const count = Math.min(hex.length >> 1, recorded.size)
  for (let i = 0; i < count; i++) {
    bytes[i] = (digitValue(hex.charCodeAt(2 * i)) << 4) | digitValue(hex.charCodeAt(2 * i + 1))
  }
  return bytes
}

/** Arguments of one call; engines limit how many there may be. */
const CHARACTERS_AT_ONCE = 8192

/**
 * Whole chunks at once: joining a string per byte makes millions of short-lived strings on a host of
 * 10,000 functions, and their collection takes longer than reading the host.
 */
function toHex(bytes: Uint8Array, end: number): string {
  const codes = new Uint8Array(2 * end)
  for (let i = 0; i < end; i++) {
    const byte = bytes[i] ?? 0
    codes[2 * i] = digitCode(byte >> 4)
    codes[2 * i + 1] = digitCode(byte & 0xf)
  }
  let hex = ''
  for (let at = 0; at < codes.length; at += CHARACTERS_AT_ONCE) {
    hex += String.fromCharCode(...codes.subarray(at, at + CHARACTERS_AT_ONCE))
  }
  return hex
}

const ZERO = 0x30
const LETTER_A = 0x61

function digitCode(value: number): number {
  return value < 10 ? ZERO + value : LETTER_A + value - 10
}

/** 0 for what is no lower-case digit: files are checked before they come here. */
function digitValue(code: number): number {
  if (code >= ZERO && code < ZERO + 10) return code - ZERO
  return code >= LETTER_A && code < LETTER_A + 6 ? code - LETTER_A + 10 : 0
}
