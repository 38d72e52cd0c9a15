/** A record that cannot be read is a damage of its claim, and of no other. */
import { describe, expect, it } from 'vitest'
import { IsogroupError } from '../base/errors.ts'
import { claimStore, type StoredClaim } from './claim-store.ts'
import { type CrashWorld, crashWorld, requestFor, start } from './crash-world.case.ts'
import { testDigest } from './digest.case.ts'

const REQUEST = requestFor(['0000:02:01.0'], { allow: ['CLAIM-ROUTE', 'CLAIM-LINK'] })
const ID = '00000001'
const JOURNAL = `claim-${ID}.journal`
const COPY = `claim-${ID}.json`

async function claimedWorld(): Promise<CrashWorld> {
  const world = await crashWorld()
  expect(await start(world).isolator.claim(REQUEST)).toMatchObject({ kind: 'done' })
  return world
}

/** All claims, with files in whose place is something else. */
function claimsWithout(
  world: CrashWorld,
  broken: readonly string[],
  code: 'io' | 'permission' = 'io',
): readonly StoredClaim[] {
  const { directory } = start(world)
  const read = (name: string): string | null => {
    if (broken.includes(name)) throw new IsogroupError(code, `cannot read ${name}: EISDIR`, '')
    return directory.read(name)
  }
  const list = (): readonly string[] => [...new Set([...directory.list(), ...broken])]
  const clock = { now: () => world.now, sleep: () => Promise.resolve() }
  return claimStore({ ...directory, read, list }, clock, testDigest).all()
}

describe('the records of claims', () => {
  it('are whole as long as one of both files can be read', async () => {
    const world = await claimedWorld()
    for (const name of [JOURNAL, COPY]) {
      expect(claimsWithout(world, [name])).toMatchObject([{ id: ID, record: { id: ID } }])
    }
  })

  it('are damaged when neither can be, and say why; others are not', async () => {
    const world = await claimedWorld()
    const damage = `cannot read ${JOURNAL}: EISDIR`
    expect(claimsWithout(world, [JOURNAL, COPY])).toEqual([{ id: ID, record: null, damage }])
    expect(claimsWithout(world, ['claim-deadbeef.json'])).toMatchObject([
      { id: 'deadbeef', damage: 'cannot read claim-deadbeef.json: EISDIR' },
      { id: ID, record: { id: ID } },
    ])
  })

  it('are not called damaged when they may not be read', async () => {
    const world = await claimedWorld()
    expect(() => claimsWithout(world, [COPY], 'permission')).toThrow('EISDIR')
  })
})
