/**
 * Bytes as lower-case hexadecimal text. Hosts of 10,000 functions have 40 MB of registers, most of them
 * zeros, so runs of zeros are written at once and digits read by their character codes.
 */
const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Two digits for every byte. */
export function toHex(bytes: Uint8Array): string {
  let hex = ''
  let zeros = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    if (byte === 0) {
      zeros += 1
      continue
    }
    if (zeros > 0) hex += '00'.repeat(zeros)
    zeros = 0
    hex += DIGITS[byte] ?? ''
  }
  return hex + '00'.repeat(zeros)
}

/** Value by the character code of a digit; 0 for everything else. */
const VALUES = new Uint8Array(128)
for (let value = 0; value < 16; value++) VALUES[value.toString(16).charCodeAt(0)] = value

/** @param hex lower-case digits, two for every byte; anything else counts as 0 */
export function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length >> 1)
  for (let i = 0; i < bytes.length; i++) {
    const high = VALUES[hex.charCodeAt(2 * i)] ?? 0
    const low = VALUES[hex.charCodeAt(2 * i + 1)] ?? 0
    if ((high | low) !== 0) bytes[i] = (high << 4) | low
  }
  return bytes
}
