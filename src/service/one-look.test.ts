/** The open files of all programs are the longest look at a busy host: one is enough for however many groups. */
import { describe, expect, it } from 'vitest'
import type { Program } from './crash-world.case.ts'
import { type CrashWorld, crashWorld, requestFor, start } from './crash-world.case.ts'

const REQUEST = requestFor(['0000:02:01.0', '0000:04:00.0'], {
  allow: ['CLAIM-ROUTE', 'CLAIM-LINK'],
})

/** How often the open files of a program are looked at by some work: of the one that is looked at most. */
async function looksOf(world: CrashWorld, work: (program: Program) => unknown): Promise<number> {
  const looks = new Map<string, number>()
  const list = (path: string): readonly string[] => {
    if (/^\/proc\/\d+\/fd$/.test(path)) looks.set(path, (looks.get(path) ?? 0) + 1)
    return world.kernel.list(path)
  }
  await work(start({ ...world, kernel: { ...world.kernel, list } }))
  return Math.max(0, ...looks.values())
}

async function claimedWorld(): Promise<CrashWorld> {
  const world = await crashWorld()
  expect(await start(world).isolator.claim(REQUEST)).toMatchObject({ kind: 'done' })
  return world
}

describe('all programs are looked at once', () => {
  it('by a plan and its claim, for two groups', async () => {
    const world = await crashWorld()
    const looks = await looksOf(world, async ({ isolator }) => {
      expect(isolator.plan(REQUEST).groups).toHaveLength(2)
      await isolator.claim(REQUEST)
    })
    expect(looks).toBe(1)
  })

  it('by a list of claims', async () => {
    const world = await claimedWorld()
    expect(await looksOf(world, ({ isolator }) => isolator.claims())).toBe(1)
  })

  it('by a look of the guard', async () => {
    const world = await claimedWorld()
    expect(await looksOf(world, ({ isolator }) => isolator.guardOnce(() => undefined))).toBe(1)
    const empty = await crashWorld()
    expect(await looksOf(empty, ({ isolator }) => isolator.guardOnce(() => undefined))).toBe(0)
  })
})
