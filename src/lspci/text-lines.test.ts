import { describe, expect, it } from 'vitest'
import { cleanLines } from './text-lines.ts'

function texts(text: string): readonly string[] {
  return cleanLines(text).lines.map((line) => line.text)
}

describe('cleanLines', () => {
  it('splits at every kind of line end', () => {
    expect(texts('a\r\nb\nc\rd\n')).toEqual(['a', 'b', 'c', 'd'])
  })

  it('tells whether the last line has its line end', () => {
    expect(cleanLines('a\nb\n').endsWithLine).toBe(true)
    expect(cleanLines('a\nb').endsWithLine).toBe(false)
  })

  it('takes quote marks, tabs and trailing blanks away', () => {
    expect(texts('> > \tBus: primary=00  \n>>x\n')).toEqual(['Bus: primary=00', 'x'])
  })

  it('keeps the width that the line had', () => {
    expect(cleanLines('> ab  \n').lines[0]?.width).toBe(6)
  })

  it('decodes HTML entities and drops the tags around pasted text', () => {
    expect(texts('<pre>&gt;TAbort- &amp;c &lt;access denied&gt;<br>\n')).toEqual([
      'TAbort- &c <access denied>',
    ])
  })

  it('keeps what only looks like a tag', () => {
    expect(texts('Capabilities: <access denied>\nSecure device <?>\n')).toEqual([
      'Capabilities: <access denied>',
      'Secure device <?>',
    ])
  })

  it('removes terminal colours', () => {
    expect(texts('\u001b[1;32m00:00.0\u001b[0m Host\n')).toEqual(['00:00.0 Host'])
  })

  it('decodes quoted-printable mail', () => {
    expect(texts('Bus: primary=3D00, second=\nary=3D01\n')).toEqual([
      'Bus: primary=00, secondary=01',
    ])
  })

  it('leaves equal signs alone in text that is not quoted-printable', () => {
    expect(texts('Bus: primary=00, x=20=\n')).toEqual(['Bus: primary=00, x=20='])
  })

  it('undoes doubled line spacing but keeps the real empty lines', () => {
    expect(texts('a\n\nb\n\nc\n\n\n\nd\n\ne\n\nf\n\n')).toEqual([
      'a',
      'b',
      'c',
      '',
      '',
      'd',
      'e',
      'f',
    ])
  })

  it('cuts a line of a million characters', () => {
    expect(texts(`${'x'.repeat(1_000_000)}\n`)[0]?.length).toBe(4000)
  })
})
