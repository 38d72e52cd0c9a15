import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ColorChoice, hanging, screenOver, shorten, wrap } from './screen.ts'
import type { Stream } from './stream.ts'

function stream(isTerminal: boolean, columns: number | null = null): Stream {
  return { isTerminal, columns, write: () => undefined }
}

describe('colours', () => {
  const cases: readonly [
    what: string,
    terminal: boolean,
    env: Record<string, string>,
    choice: ColorChoice,
    colored: boolean,
  ][] = [
    ['on a terminal', true, { TERM: 'xterm' }, 'auto', true],
    ['not in a pipe', false, { TERM: 'xterm' }, 'auto', false],
    ['not with NO_COLOR', true, { TERM: 'xterm', NO_COLOR: '1' }, 'auto', false],
    ['with an empty NO_COLOR, which means nothing', true, { NO_COLOR: '' }, 'auto', true],
    ['in a pipe with FORCE_COLOR', false, { FORCE_COLOR: '1' }, 'auto', true],
    ['not with FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, 'auto', false],
    [
      'not with both NO_COLOR and FORCE_COLOR',
      true,
      { NO_COLOR: '1', FORCE_COLOR: '1' },
      'auto',
      false,
    ],
    ['not on a dumb terminal', true, { TERM: 'dumb' }, 'auto', false],
    ['in a pipe with --color always', false, { NO_COLOR: '1' }, 'always', true],
    ['not on a terminal with --color never', true, { FORCE_COLOR: '1' }, 'never', false],
  ]
  for (const [what, terminal, env, choice, colored] of cases) {
    it(`are used ${what}`.replace('used not', 'not used'), () => {
      const screen = screenOver(stream(terminal), env, choice)
      expect(screen.paint('red', 'x')).toBe(colored ? '\x1b[31mx\x1b[39m' : 'x')
    })
  }
})

describe('a screen', () => {
  it('has a width only on a terminal: 80 where the terminal does not tell', () => {
    expect(screenOver(stream(false), {}, 'auto').width).toBeNull()
    expect(screenOver(stream(true), {}, 'auto').width).toBe(80)
    expect(screenOver(stream(true, 120), {}, 'auto').width).toBe(120)
  })

  it('draws with Unicode where the locale is UTF-8, LC_ALL first', () => {
    expect(screenOver(stream(true), { LANG: 'en_US.UTF-8' }, 'auto').unicode).toBe(true)
    expect(screenOver(stream(true), { LANG: 'C.utf8' }, 'auto').unicode).toBe(true)
    expect(screenOver(stream(true), { LANG: 'en_US.UTF-8', LC_ALL: 'C' }, 'auto').unicode).toBe(
      false,
    )
    expect(screenOver(stream(true), {}, 'auto').unicode).toBe(false)
  })
})

describe('shortening', () => {
  it('marks what was lost, with three dots where there is no Unicode', () => {
    expect(shorten('Ethernet Controller', 10, true)).toBe('Ethernet…')
    expect(shorten('Ethernet Controller', 10, false)).toBe('Etherne...')
    expect(shorten('Ethernet', 8, true)).toBe('Ethernet')
  })

  it('never gives more than the width, and everything without one', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(40), fc.boolean(), (text, width, unicode) => {
        expect(shorten(text, null, unicode)).toBe(text)
        const room = Math.max(width, 3)
        expect(Array.from(shorten(text, room, unicode)).length).toBeLessThanOrEqual(room)
      }),
    )
  })
})

describe('wrapping', () => {
  it('keeps every word in order and every line within the width, long words aside', () => {
    const words = fc.array(fc.stringMatching(/^[a-z0-9:.]{1,15}$/), { minLength: 1 })
    fc.assert(
      fc.property(words, fc.integer({ min: 15, max: 60 }), (list, width) => {
        const lines = wrap(list.join(' '), width)
        expect(lines.join(' ')).toBe(list.join(' '))
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width)
      }),
    )
  })

  it('hangs further lines below the first', () => {
    expect(hanging('- ', 'one two three four five six seven eight', 40)).toEqual([
      '- one two three four five six seven',
      '  eight',
    ])
  })
})
