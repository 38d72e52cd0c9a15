import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testDigest } from './digest.case.ts'
import { framedLine, readFramedLines } from './framed-line.ts'

const read = (text: string): readonly object[] => readFramedLines(text, testDigest)

describe('lines that tell whether they are whole', () => {
  it('give back what was put in, whatever characters are in it', () => {
    const anyText = fc.string({ unit: 'binary', maxLength: 20 })
    fc.assert(
      fc.property(fc.array(fc.record({ a: anyText, b: fc.integer() })), (values) => {
        expect(read(values.map((value) => framedLine(value, testDigest)).join(''))).toEqual(values)
      }),
    )
    const odd = { text: 'a\u2028b\u2029c\r\nd' }
    expect(read(framedLine(odd, testDigest))).toEqual([odd])
  })

  it('are all there but the one that was cut, wherever that was', () => {
    const values = [{ n: 1 }, { n: 2, text: 'two' }, { n: 3 }]
    const lines = values.map((value) => framedLine(value, testDigest))
    const text = lines.join('')
    for (let length = 0; length <= text.length; length++) {
      const whole = lines.filter((_, n) => lines.slice(0, n + 1).join('').length <= length)
      expect(read(text.slice(0, length))).toEqual(values.slice(0, whole.length))
    }
  })

  it('are passed over alone when they are damaged, at any place, by any character', () => {
    const lines = [{ n: 1 }, { n: 2 }, { n: 3 }].map((value) => framedLine(value, testDigest))
    const [first = '', second = '', third = ''] = lines
    fc.assert(
      fc.property(
        fc.nat(second.length - 2),
        fc.constantFrom(...Array.from('09af{}" x')),
        (at, character) => {
          const damaged = second.slice(0, at) + character + second.slice(at + 1)
          const kept = damaged === second ? [{ n: 1 }, { n: 2 }, { n: 3 }] : [{ n: 1 }, { n: 3 }]
          expect(read(first + damaged + third)).toEqual(kept)
        },
      ),
    )
  })
})
