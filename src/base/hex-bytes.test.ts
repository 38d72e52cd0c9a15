import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fromHex, toHex } from './hex-bytes.ts'

describe('hexadecimal text', () => {
  it('has two lower-case digits for every byte', () => {
    expect(toHex(Uint8Array.of(0x00, 0x9a, 0xff))).toBe('009aff')
  })

  it('gives the bytes back, however many there are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
        expect(fromHex(toHex(bytes))).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
  })
})
