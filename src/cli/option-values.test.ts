import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkedText, printable, several, single, TEXT_MAX, wholeNumber } from './option-values.ts'
import { shellWords } from './shell-words.ts'

const SECONDS = { min: 1, max: 604800, unit: 'seconds' } as const

describe('a text from the command line', () => {
  it('is taken as it is when it is one line of printable characters', () => {
    for (const text of ['01:00.0', 'for Zoë: the big GPU', '日本', "it's"]) {
      expect(checkedText(text, 'x')).toBe(text)
    }
  })

  it('is refused when it is empty, too long, or holds what cannot be printed', () => {
    const hostile = [
      '',
      'a\nb',
      'a\0b',
      '\x1b[2J',
      'a\u2028b',
      'a\u202eb',
      '\ud800',
      'x'.repeat(TEXT_MAX + 1),
    ]
    for (const text of hostile) expect(() => checkedText(text, 'the target')).toThrow('the target')
  })

  it('is shown in messages as plain characters, and cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
        const shown = printable(text)
        expect(shown).toMatch(/^[\x20-\x7e]*$/)
        expect(shown.length).toBeLessThan(400)
      }),
    )
  })
})

describe('a whole number', () => {
  it('is plain decimal digits within its limits', () => {
    expect(wholeNumber('1', '--confirm', SECONDS)).toBe(1)
    expect(wholeNumber('604800', '--confirm', SECONDS)).toBe(604800)
  })

  it('is nothing else', () => {
    for (const text of [
      '',
      '0',
      '-5',
      '+5',
      '0.5',
      '1e3',
      '0x10',
      ' 5',
      '5 ',
      '604801',
      '9'.repeat(30),
      'NaN',
      '٣',
    ]) {
      expect(() => wholeNumber(text, '--confirm', SECONDS)).toThrow('is no number of seconds')
    }
  })
})

describe('options', () => {
  it('that may be given once are refused when given twice', () => {
    expect(single({ owner: ['alice'] }, 'owner', '--owner')).toBe('alice')
    expect(single({}, 'owner', '--owner')).toBeNull()
    expect(() => single({ owner: ['alice', 'bob'] }, 'owner', '--owner')).toThrow(
      '--owner was given 2 times',
    )
  })

  it('that may be given again and again lose their repeats', () => {
    expect(several({ allow: ['A', 'B', 'A'] }, 'allow', '--allow')).toEqual(['A', 'B'])
    expect(several({}, 'allow', '--allow')).toEqual([])
    expect(() => several({ allow: ['A\n'] }, 'allow', '--allow')).toThrow('--allow')
  })
})

describe('a command line to paste', () => {
  it('is quoted where a shell would change it', () => {
    expect(shellWords(['claim', '01:00.0', '--reason', "bob's; rm -rf $HOME"])).toBe(
      `claim 01:00.0 --reason 'bob'\\''s; rm -rf $HOME'`,
    )
    expect(shellWords(['claim', ''])).toBe("claim ''")
  })
})
