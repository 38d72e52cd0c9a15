/**
 * 64-bit registers as sysfs prints them ("d2008c40660462", hexadecimal without 0x), as two words: the
 * model has no use for 64-bit integers elsewhere.
 */
export interface RegisterValue {
  readonly low: number
  readonly high: number
}

/** Anything that is not hexadecimal counts as 0. */
export function registerValue(text: string): RegisterValue {
  const digits = text.trim().replace(/^0x/, '').padStart(16, '0')
  return {
    low: parseInt(digits.slice(-8), 16) >>> 0,
    high: parseInt(digits.slice(-16, -8), 16) >>> 0,
  }
}

/** Bits `first` to `first + count - 1`, counted from bit 0 of the low word; up to 31 bits. */
export function bits(register: RegisterValue, first: number, count: number): number {
  const mask = 2 ** count - 1
  if (first >= 32) return (register.high >>> (first - 32)) & mask
  const across = first + count > 32 ? register.high << (32 - first) : 0
  return ((register.low >>> first) | across) & mask
}
