import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeUtf8, encodeUtf8 } from './utf8.ts'

describe('UTF-8', () => {
  it('encodes every text as Node does', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect([...encodeUtf8(text)]).toEqual([...Buffer.from(text, 'utf8')])
        expect(decodeUtf8(encodeUtf8(text))).toBe(Buffer.from(text, 'utf8').toString('utf8'))
      }),
    )
  })

  it('decodes long texts whole', () => {
    const text = 'x'.repeat(20_000)
    expect(decodeUtf8(encodeUtf8(text))).toBe(text)
    expect(decodeUtf8(encodeUtf8(`${text}ü`))).toBe(`${text}ü`)
  })

  it('never fails, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const text = decodeUtf8(bytes)
        if (!text.includes('\ufffd')) expect([...encodeUtf8(text)]).toEqual([...bytes])
      }),
    )
    expect(decodeUtf8(Uint8Array.of(0xc0, 0x80, 0x41))).toBe('\ufffd\ufffdA')
    expect(decodeUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toBe('\ufffd\ufffd\ufffd')
  })
})
