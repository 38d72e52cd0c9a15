/**
 * Numbers as the kernel reads them from sysfs writes: kstrtoul, kstrtobool and sscanf("%x")
 * (lib/kstrtox.c, lib/vsprintf.c).
 */

/** The bytes of a write as text, one character per byte. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}

/**
 * kstrtoul(text, 0): decimal, 0x hexadecimal or 0 octal; an optional plus sign in front and one newline
 * behind. @returns null when it is no such number
 */
export function parseUnsigned(bytes: Uint8Array): number | null {
  const match = /^\+?(0x[0-9a-f]+|[0-9]+)\n?$/i.exec(beforeNul(textOf(bytes)))
  const digits = match?.[1]
  if (digits === undefined) return null
  if (/^0x/i.test(digits)) return parseInt(digits, 16)
  if (!digits.startsWith('0')) return parseInt(digits, 10)
  return /^0[0-7]*$/.test(digits) ? parseInt(digits, 8) : null
}

/** kstrtobool: by the first character, "on" and "off" by the second. */
export function parseBoolean(bytes: Uint8Array): boolean | null {
  const text = beforeNul(textOf(bytes)).toLowerCase()
  if (/^[yt1]/.test(text) || text.startsWith('on')) return true
  return /^[nf0]/.test(text) || text.startsWith('of') ? false : null
}

/** sscanf with "%x %x ...": as many hexadecimal numbers as there are before something else. */
export function scanHex(bytes: Uint8Array, max: number): number[] {
  const numbers: number[] = []
  let rest = beforeNul(textOf(bytes))
  while (numbers.length < max) {
    const match = /^\s*(?:0x)?([0-9a-f]+)/i.exec(rest)
    if (match === null) break
    numbers.push(parseInt(match[1] ?? '', 16))
    rest = rest.slice(match[0].length)
  }
  return numbers
}

/** sysfs writes are C strings to the kernel: what follows a NUL is not seen. */
function beforeNul(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}
