/**
 * Bytes as lower-case hexadecimal text. Hosts of 10,000 functions have 40 MB of registers, so this works
 * on character codes: a string for every byte would take longer than reading the host.
 */
const ZERO = 0x30
const LETTER_A = 0x61
/** Arguments of one call; engines limit how many there may be. */
const CHARACTERS_AT_ONCE = 8192

/** Two digits for every byte. */
export function toHex(bytes: Uint8Array): string {
  const codes = new Uint8Array(2 * bytes.length)
  for (let i = 0; i < bytes.length; i++) {
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

/** @param hex lower-case digits, two for every byte; anything else counts as 0 */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length >> 1)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = (digitValue(hex.charCodeAt(2 * i)) << 4) | digitValue(hex.charCodeAt(2 * i + 1))
  }
  return bytes
}

function digitCode(value: number): number {
  return value < 10 ? ZERO + value : LETTER_A + value - 10
}

function digitValue(code: number): number {
  if (code >= ZERO && code < ZERO + 10) return code - ZERO
  return code >= LETTER_A && code < LETTER_A + 6 ? code - LETTER_A + 10 : 0
}
