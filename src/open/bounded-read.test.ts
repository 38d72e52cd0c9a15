import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readBounded } from './bounded-read.ts'
import { shownValue } from './shown-value.ts'

const dir = mkdtempSync(join(tmpdir(), 'isogroup-read-'))
afterAll(() => {
  rmSync(dir, { recursive: true })
})

describe('readBounded()', () => {
  it('reads up to the limit, and nothing of what is longer', async () => {
    const path = join(dir, 'ten')
    writeFileSync(path, '0123456789')
    expect((await readBounded({ path, maxBytes: 10, hint: '' }))?.toString()).toBe('0123456789')
    expect(await readBounded({ path, maxBytes: 9, hint: '' })).toBeNull()
  })

  it('stops on devices that never end', async () => {
    expect(await readBounded({ path: '/dev/zero', maxBytes: 1_000_000, hint: '' })).toBeNull()
  })

  it('names the file, the errno and what to do', async () => {
    const path = join(dir, 'missing')
    await expect(readBounded({ path, maxBytes: 1, hint: 'Look again.' })).rejects.toMatchObject({
      code: 'io',
      message: `cannot read ${path}: ENOENT`,
      hint: 'Look again.',
    })
    await expect(readBounded({ path: dir, maxBytes: 1, hint: '' })).rejects.toMatchObject({
      message: `cannot read ${dir}: EISDIR`,
    })
  })
})

describe('shownValue()', () => {
  it('is short whatever the value, and never recurses into it', () => {
    const deep: unknown = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))
    expect([undefined, null, 7, true, 'a"b', [1, 2], {}, deep].map(shownValue)).toEqual([
      'nothing',
      'null',
      '7',
      'true',
      '"a\\"b"',
      'a list of 2',
      'an object',
      'a list of 1',
    ])
    expect(shownValue('x'.repeat(1000))).toHaveLength(65)
  })
})
