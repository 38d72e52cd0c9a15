/**
 * docs/seed.md against the scripts: each one runs, and the page shows it and what it prints. To bring the
 * page up to date: npx vitest run examples/seed -u
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freshPage, sectionOf } from '../page.case.ts'

const FOLDER = import.meta.dirname
const PAGE = join(FOLDER, '../../docs/seed.md')
const FROM_PAGE = '../examples/seed'

const scripts = readdirSync(FOLDER).filter((name) => /^s\d\d.*\.ts$/.test(name))

describe('the chapter about the seed', () => {
  const page = readFileSync(PAGE, 'utf8')

  it('has one section and one script for each of the fifteen questions, in order', () => {
    const numbers = [...page.matchAll(/^## S(\d+)\. /gm)].map((match) => Number(match[1]))
    expect(numbers).toEqual(Array.from({ length: 15 }, (_, n) => n + 1))
    expect(scripts.map((name) => Number(name.slice(1, 3)))).toEqual(numbers)
    expect([...page.matchAll(sectionOf(FROM_PAGE))].map((match) => match[1])).toEqual(scripts)
  })

  it('names files of the model that exist', () => {
    const named = [...page.matchAll(/`(src\/model\/[\w./-]+)`/g)].map((match) => match[1] ?? '')
    expect(named.length).toBeGreaterThan(10)
    for (const path of named) readOrList(join(FOLDER, '../..', path))
  })

  it('shows every script, and what it really prints', async () => {
    const shown = await freshPage(page, FROM_PAGE, FOLDER)
    await expect(shown).toMatchFileSnapshot(PAGE)
  })
})

describe('a script of the seed', () => {
  const from = (name: string): readonly string[] =>
    [...readFileSync(join(FOLDER, name), 'utf8').matchAll(/ from '([^']+)'/g)].map(
      (match) => match[1] ?? '',
    )

  it.each([...scripts, 'steps.ts'])('%s uses nothing but what the package exports', (name) => {
    for (const module of from(name))
      expect(['isogroup', 'isogroup/model', './steps.ts']).toContain(module)
  })

  it.each(scripts)('%s is short', (name) => {
    expect(readFileSync(join(FOLDER, name), 'utf8').split('\n').length).toBeLessThanOrEqual(41)
  })
})

function readOrList(path: string): void {
  if (path.endsWith('/')) readdirSync(path)
  else readFileSync(path)
}
