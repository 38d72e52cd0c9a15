/** UTF-8 for the pure layers, which have no TextEncoder. Nearly all text of a kernel is ASCII. */

/** Arguments of one call; engines limit how many there may be. */
const CHARACTERS_AT_ONCE = 8192
const REPLACEMENT = 0xfffd

export function encodeUtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return encodeWide(text)
    bytes[i] = code
  }
  return bytes
}

function encodeWide(text: string): Uint8Array {
  const bytes: number[] = []
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0
    // Half of a surrogate pair has no UTF-8.
    const code = isSurrogate(point) ? REPLACEMENT : point
    if (code < 0x80) bytes.push(code)
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code, 0))
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code, 1), tail(code, 0))
    else bytes.push(0xf0 | (code >> 18), tail(code, 2), tail(code, 1), tail(code, 0))
  }
  return Uint8Array.from(bytes)
}

/** Byte that carries the six bits number `index` from the right. */
function tail(code: number, index: number): number {
  return 0x80 | ((code >> (6 * index)) & 0x3f)
}

/** Bytes that are no UTF-8 become U+FFFD. */
export function decodeUtf8(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHARACTERS_AT_ONCE) {
    const part = bytes.subarray(at, at + CHARACTERS_AT_ONCE)
    if (part.some((byte) => byte > 0x7f)) return decodeWide(bytes)
    text += String.fromCharCode(...part)
  }
  return text
}

function decodeWide(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at)
    text += String.fromCodePoint(length === 0 ? REPLACEMENT : codePoint(bytes, at, length))
    at += Math.max(length, 1)
  }
  return text
}

/** Bytes of the sequence that begins here; 0 when none does. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0
  if (first < 0x80) return 1
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0
  if (length === 0 || first > 0xf4 || at + length > bytes.length) return 0
  for (let i = 1; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return 0
  const code = codePoint(bytes, at, length)
  const shortest = [0, 0, 0x80, 0x800, 0x10000][length] ?? 0
  return code < shortest || code > 0x10ffff || isSurrogate(code) ? 0 : length
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdfff
}

function codePoint(bytes: Uint8Array, at: number, length: number): number {
  const first = bytes[at] ?? 0
  if (length === 1) return first
  let code = first & (0xff >> (length + 1))
  for (let i = 1; i < length; i++) code = (code << 6) | ((bytes[at + i] ?? 0) & 0x3f)
  return code
}
