/** The published schemas are current, and what the commands print is valid by them. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import type { Host } from '../../isolation/host.ts'
import { machineNames, openHost } from '../../open/open-host.ts'
import { run } from '../host.case.ts'
import { SHAPES, schemaFiles } from './schema-files.ts'
import { validate } from './validate.case.ts'

const FOLDER = join(import.meta.dirname, '../../../docs/reference/schemas')
const REFERENCE = join(import.meta.dirname, '../../../docs/reference/json.md')

describe('the published schemas', () => {
  it('are those of the shapes: run `npm run schemas` after changing one', () => {
    const published = new Map(
      readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]),
    )
    expect(published).toEqual(schemaFiles())
  })

  it('are all listed in json.md', () => {
    const text = readFileSync(REFERENCE, 'utf8')
    for (const name of schemaFiles().keys()) expect(text).toContain(`schemas/${name}`)
    for (const kind of Object.keys(SHAPES)) expect(text).toContain(`\`${kind}\``)
  })
})

/** Addresses to look at closely: the first, the last, and one in the middle. */
function samples(host: Host): readonly [string, string, string] {
  const { functions } = host.snapshot()
  const at = (index: number): string => functions[index]?.address ?? ''
  return [at(0), at(Math.floor(functions.length / 2)), at(functions.length - 1)]
}

/** Ten thousand times the same tells no more. */
const MACHINES = machineNames().filter((name) => name !== 'singletons-10000')

describe('what the commands print', () => {
  for (const name of MACHINES) {
    it(`is valid for machine ${name}`, async () => {
      const host = await openHost(`model:${name}`)
      const [first, middle, last] = samples(host)
      const { groups } = host.snapshot()
      const ids = groups.known ? groups.value.map(({ id }) => id) : []
      const lines: readonly (readonly [kind: string, argv: readonly string[]])[] = [
        ['GroupList', ['ls']],
        ['GroupList', ['start']],
        ['Tree', ['tree']],
        ['Prediction', ['predict']],
        ['Prediction', ['predict', '--kernel', '5.4']],
        ['DoctorReport', ['doctor']],
        ['Details', ['show', middle]],
        ['Explanation', ['explain', last]],
        ['Explanation', ['explain', first, last]],
        ['Explanation', ['explain', middle, last]],
        ...ids.map((id) => ['Details', ['show', `group:${id}`]] as const),
        ['Failure', ['show', 'nothing-like-it']],
        ['Failure', ['explain', 'ffff:ff:1f.7']],
      ]
      for (const [kind, argv] of lines) {
        const { stdout } = await run([...argv, '--json'], { host })
        expect(validate(stdout)).toBe(kind)
      }
    })
  }

  it('is valid after a capture', async () => {
    const host = await openHost(`model:${machineNames()[0] ?? ''}`)
    const { stdout } = await run(['capture', 'x', '--json'], {
      host,
      capture: () => Promise.resolve(),
    })
    expect(validate(stdout)).toBe('Capture')
  })

  it('is not valid when a member is missing, has another type or is new', async () => {
    const host = await openHost(`model:${machineNames()[0] ?? ''}`)
    const { stdout } = await run(['ls', '--json'], { host })
    const value = JSON.parse(stdout) as Record<string, unknown>
    const shape = SHAPES['GroupList']
    if (shape === undefined) throw new Error('no shape of GroupList')
    for (const change of [{ groups: undefined }, { host: 7 }, { more: true }]) {
      expect(v.safeParse(shape, { ...value, ...change }).success).toBe(false)
    }
  })
})
