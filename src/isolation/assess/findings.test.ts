import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { FINDINGS } from '../findings.ts'

const ROOT = new URL('../../../', import.meta.url)
const DOCUMENT = readFileSync(new URL('docs/reference/findings.md', ROOT), 'utf8')

/** Rows of the tables that begin with a code. */
const rows = DOCUMENT.split('\n').filter((line) => /^\| `(?:HOST|GRP)-/.test(line))

describe('docs/reference/findings.md', () => {
  it('has a row for every code in the catalogue, and no other, in the same words', () => {
    const expected = Object.entries(FINDINGS).map(
      ([code, { severities, meaning, remedy }]) =>
        `| \`${code}\` | ${severities.join(', ')} | ${meaning} | ${remedy} |`,
    )
    expect(rows).toEqual(expected)
  })

  it('has no text that would break a table', () => {
    for (const { meaning, remedy } of Object.values(FINDINGS)) {
      expect(meaning + remedy).not.toMatch(/[|\n]/)
    }
  })
})

describe('codes in the source', () => {
  const used = new Set<string>()
  for (const name of readdirSync(new URL('src/', ROOT), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || /\.(?:test|case)\.ts$/.test(name)) continue
    if (name.endsWith('isolation/findings.ts')) continue
    const text = readFileSync(new URL(`src/${name}`, ROOT), 'utf8')
    for (const [, code = ''] of text.matchAll(/'((?:HOST|GRP)-[A-Z0-9-]+)'/g)) used.add(code)
  }

  it('are all in the catalogue, and every code of the catalogue is given somewhere', () => {
    expect([...used].sort()).toEqual(Object.keys(FINDINGS).sort())
  })
})
