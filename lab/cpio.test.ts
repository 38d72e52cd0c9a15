import { describe, expect, it } from 'vitest'
import { cpioArchive, withParents } from './cpio.ts'

type Parsed = { readonly name: string; readonly mode: number; readonly content: string }

/** An independent reader: walks headers by the lengths they state. */
function parse(archive: Buffer): readonly Parsed[] {
  const entries: Parsed[] = []
  let at = 0
  for (;;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const field = (index: number): number => {
      const start = at + 6 + index * 8
      return Number.parseInt(archive.toString('latin1', start, start + 8), 16)
    }
    const [mode, size, nameLength] = [field(1), field(6), field(11)]
    const name = archive.toString('utf8', at + 110, at + 110 + nameLength - 1)
    const start = at + Math.ceil((110 + nameLength) / 4) * 4
    if (name === 'TRAILER!!!') return entries
    entries.push({ name, mode, content: archive.toString('utf8', start, start + size) })
    at = start + Math.ceil(size / 4) * 4
  }
}

describe('cpioArchive', () => {
  it('writes files, directories and links that a reader finds again', () => {
    const archive = cpioArchive([
      { path: 'bin', kind: 'directory', mode: 0o755 },
      { path: 'bin/tool', kind: 'file', mode: 0o755, content: 'hello' },
      { path: 'bin/alias', kind: 'link', mode: 0o777, content: 'tool' },
      { path: 'empty', kind: 'file', mode: 0o600 },
    ])
    expect(parse(archive)).toEqual([
      { name: 'bin', mode: 0o040755, content: '' },
      { name: 'bin/tool', mode: 0o100755, content: 'hello' },
      { name: 'bin/alias', mode: 0o120777, content: 'tool' },
      { name: 'empty', mode: 0o100600, content: '' },
    ])
  })

  it('pads names and contents of every length to four bytes', () => {
    for (let length = 1; length <= 9; length += 1) {
      const entry = { path: 'x'.repeat(length), kind: 'file', mode: 0o644 } as const
      const archive = cpioArchive([{ ...entry, content: 'y'.repeat(length) }, entry])
      expect(parse(archive).map((found) => found.content)).toEqual(['y'.repeat(length), ''])
    }
  })

  it('ends on a boundary at which another archive can follow', () => {
    expect(cpioArchive([]).length % 512).toBe(0)
  })
})

describe('withParents', () => {
  it('puts each missing directory once, before what is in it', () => {
    const file = (path: string) => ({ path, kind: 'file', mode: 0o644 }) as const
    const entries = withParents([
      file('a/b/one'),
      file('a/two'),
      { path: 'a/b', kind: 'directory', mode: 0o755 },
    ])
    expect(entries.map((entry) => entry.path)).toEqual(['a', 'a/b', 'a/b/one', 'a/two'])
  })
})
