/** docs/reference/model.md: its script runs and prints what the page shows, and all that is exported is named. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freshPage } from '../page.case.ts'

const PAGE = join(import.meta.dirname, '../../docs/reference/model.md')

describe('the reference of isogroup/model', () => {
  const page = readFileSync(PAGE, 'utf8')

  it('shows the example, and what it really prints', async () => {
    const shown = await freshPage(page, '../../examples/library', import.meta.dirname)
    await expect(shown).toMatchFileSnapshot(PAGE)
  })

  it('names everything that the module exports', async () => {
    const exported = Object.keys(await import('isogroup/model'))
    expect(exported.length).toBeGreaterThan(10)
    for (const name of exported) expect(page).toContain(`\`${name}\``)
  })
})
