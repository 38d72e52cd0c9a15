/**
 * The judgements of the untyped tools, where a mistake would look like success: is an installation
 * up to date, and what does a lab run count for? They are called as the tools call them, in Node.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'isogroup-gates-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

describe('outOfDate()', () => {
  const wanted = {
    '': { version: '0.1.0' },
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b-darwin': { version: '2.0.0', optional: true },
  }
  const outOfDate = (): unknown => call('setup.mjs', `outOfDate('${folder}')`)
  beforeEach(() => {
    rmSync(join(folder, 'node_modules'), { recursive: true, force: true })
    mkdirSync(join(folder, 'node_modules'))
    write('package-lock.json', { packages: wanted })
  })

  it('asks for an installation when there is none', () => {
    expect(outOfDate()).toBe('nothing is installed')
  })

  it('is content when the record of npm agrees, packages for other systems left out', () => {
    write('node_modules/.package-lock.json', {
      packages: { 'node_modules/a': wanted['node_modules/a'] },
    })
    expect(outOfDate()).toBe(null)
  })

  it('names the package that is missing or of another version', () => {
    write('node_modules/.package-lock.json', { packages: {} })
    expect(outOfDate()).toBe('node_modules/a is missing')
    write('node_modules/.package-lock.json', {
      packages: { 'node_modules/a': { version: '0.9.0' } },
    })
    expect(outOfDate()).toBe('node_modules/a is 0.9.0')
  })
})

describe('judge() of a lab run', () => {
  const result = join(folder, 'result.json')
  const judge = (code: number, mode: string): unknown =>
    call('lab-gate.mjs', `judge(${code}, '${result}', '${mode}')`)
  beforeEach(() => {
    rmSync(result, { force: true })
  })

  it('takes the counts of a run that went well', () => {
    write('result.json', { passed: 12, failed: 0, skipped: 1 })
    expect(judge(0, 'auto')).toMatchObject({ passed: 12, failed: 0, skipped: 1, trouble: null })
  })

  it('counts what was skipped as failed where the lab is required', () => {
    write('result.json', { passed: 12, failed: 0, skipped: 1 })
    expect(judge(0, 'required')).toMatchObject({ passed: 12, failed: 1, skipped: 0 })
  })

  it.each([
    ['no result', 0, null],
    ['no case', 0, { passed: 0, failed: 0, skipped: 0 }],
    ['a count that is no number', 0, { passed: '12', failed: 0, skipped: 0 }],
    ['a failure that no case shows', 1, { passed: 12, failed: 0, skipped: 0 }],
  ])('fails a run with %s', (_, code, counts) => {
    if (counts !== null) write('result.json', counts)
    expect(judge(code, 'auto')).toMatchObject({ passed: 0, failed: 1 })
  })
})

function write(name: string, content: unknown): void {
  writeFileSync(join(folder, name), JSON.stringify(content))
}

/** The value of a call to a function that a tool exports. */
function call(tool: string, expression: string): unknown {
  const script =
    `const { ${expression.slice(0, expression.indexOf('('))} } = await import('./${tool}');` +
    `console.log(JSON.stringify(${expression}))`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { cwd: import.meta.dirname, encoding: 'utf8' },
  )
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as unknown
}
