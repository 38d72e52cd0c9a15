/** docs/reference/errors.md, exit-codes.md and json.md against the program. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT, EXIT_OF } from './failure.ts'
import { REMEDY_CODES } from './schemas/explanation.ts'

const REFERENCE = join(import.meta.dirname, '../../docs/reference')

/** First cell and second cell of each row of the tables in a document. */
function rows(name: string): readonly (readonly [string, string])[] {
  const text = readFileSync(join(REFERENCE, name), 'utf8')
  return [...text.matchAll(/^\| `?([^|`]+?)`? \| ([^|]+?) \|/gm)].map((match) => [
    match[1] ?? '',
    match[2] ?? '',
  ])
}

describe('errors.md', () => {
  it('has every error code with its exit code, and no other', () => {
    const documented = Object.fromEntries(rows('errors.md').filter(([code]) => code !== 'code'))
    const real = Object.entries({ ...EXIT_OF, internal: EXIT.internal })
    expect(documented).toEqual(Object.fromEntries(real.map(([code, exit]) => [code, String(exit)])))
  })
})

describe('exit-codes.md', () => {
  it('has every exit code that a command ends with', () => {
    const documented = new Set(rows('exit-codes.md').map(([code]) => code))
    for (const exit of Object.values(EXIT)) expect(documented).toContain(String(exit))
  })
})

describe('json.md', () => {
  it('has every remedy that explain can give, and no other', () => {
    const text = readFileSync(join(REFERENCE, 'json.md'), 'utf8')
    const table = text.slice(text.indexOf('## Remedies'))
    const documented = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1])
    expect(documented).toEqual(REMEDY_CODES)
  })
})
