/**
 * isogroup is killed, refused or kept waiting at every place there is. After `recover` the machine is as it was
 * before the claim, to the byte of everything that can be read, or fully claimed; never between.
 */
import { describe, expect, it } from 'vitest'
import { type Fault, Killed } from '../kernel/faulty.ts'
import {
  type CrashWorld,
  crashWorld,
  difference,
  type Program,
  requestFor,
  start,
  visibleState,
} from './crash-world.case.ts'
import { claimStore } from './claim-store.ts'
import { type DiskFault, lossyDirectory } from './lossy-directory.case.ts'
import { testDigest } from './digest.case.ts'

/** Two groups in one claim: three devices behind a conventional bridge, and a card of its own. */
const REQUEST = requestFor(['0000:02:01.0', '0000:04:00.0'], {
  allow: ['CLAIM-ROUTE', 'CLAIM-LINK'],
})

type Work = (program: Program) => Promise<unknown>

const claim: Work = ({ isolator }) => isolator.claim(REQUEST)
const release: Work = ({ isolator }) => isolator.release('0000:02:01.0')
const recover: Work = ({ isolator }) => isolator.recover()

interface Ends {
  readonly before: string
  readonly claimed: string
}

async function ends(): Promise<Ends> {
  const world = await crashWorld()
  const before = visibleState(world)
  await claim(start(world))
  return { before, claimed: visibleState(world) }
}

/** A world in which the work begins, with what has to be done first done. */
async function worldFor(work: Work): Promise<CrashWorld> {
  const world = await crashWorld()
  if (work === release) await claim(start(world))
  return world
}

/** Runs it to its end, or to the end of the process. */
async function run(program: Program, work: Work): Promise<unknown> {
  try {
    return await work(program)
  } catch (cause) {
    if (cause instanceof Killed) return 'killed'
    throw cause
  }
}

async function countOf(
  work: Work,
): Promise<{ readonly kernel: number; readonly disk: readonly string[] }> {
  const program = start(await worldFor(work))
  await work(program)
  return { kernel: program.kernel.changes.length, disk: program.directory.changes }
}

/** All places at which a process can end: around each change of the machine, and in each of the records. */
async function killsOf(work: Work): Promise<readonly Faults[]> {
  const { kernel, disk } = await countOf(work)
  const places: Faults[] = []
  for (let at = 1; at <= kernel; at++) {
    for (const effect of ['none', 'done'] as const) {
      places.push({ kernel: [{ kind: 'kill', at, effect }] })
    }
  }
  disk.forEach((what, index) => {
    for (const bytes of what.startsWith('append')
      ? ([0, 1, 40, 'all'] as const)
      : ([0, 'all'] as const)) {
      places.push({ disk: [{ kind: 'kill', at: index + 1, bytes }] })
    }
  })
  return places
}

interface Faults {
  readonly kernel?: readonly Fault[]
  readonly disk?: readonly DiskFault[]
}

/** Recovered, the world must be at one of the two ends, its records must agree, and a release must lead home. */
async function expectAnEnd(
  world: CrashWorld,
  { before, claimed }: Ends,
  what: unknown,
): Promise<void> {
  const outcomes = await start(world).isolator.recover()
  const now = visibleState(world)
  const views = start(world).isolator.claims()
  const note = JSON.stringify([what, outcomes.map(({ did, left }) => [did, left])])
  expect(
    outcomes.flatMap(({ left }) => left),
    note,
  ).toEqual([])
  if (now === claimed) {
    expect(
      views.map(({ state, changes }) => [state, changes]),
      note,
    ).toEqual([['claimed', []]])
    expect(await start(world).isolator.release('0000:04:00.0')).toMatchObject({ kind: 'done' })
    expect(difference(before, visibleState(world)), note).toEqual([])
  } else {
    expect(difference(before, now), note).toEqual([])
    expect(views, note).toEqual([])
  }
  expect([...world.disk.keys()].filter((name) => name.startsWith('claim-'))).toEqual([])
}

/** All of it for one kind of work; two, so that they run side by side. */
export function describeCrashes(name: 'claim' | 'release'): void {
  const work = name === 'claim' ? claim : release
  describe(`a ${name}`, () => {
    describeKills(work)
    describeRefusals(work)
  })
}

function describeKills(work: Work): void {
  it('leaves one of two states, wherever the process is killed', async () => {
    const both = await ends()
    const kills = await killsOf(work)
    expect(kills.length).toBeGreaterThan(60)
    for (const faults of kills) {
      const world = await worldFor(work)
      expect(await run(start(world, faults), work)).toBe('killed')
      await expectAnEnd(world, both, faults)
    }
  })

  it('leaves one of two states, wherever the recovery after the kill is killed too', async () => {
    const both = await ends()
    const { kernel, disk } = await countOf(work)
    // Around the middle of each step; the places between give the same facts and records.
    for (let at = 1; at <= kernel + disk.length; at++) {
      const faults: Faults =
        at <= kernel
          ? { kernel: [{ kind: 'kill', at, effect: 'done' }] }
          : { disk: [{ kind: 'kill', at: at - kernel, bytes: 'all' }] }
      const killedAgain = async (again: Faults): Promise<unknown> => {
        const world = await worldFor(work)
        await run(start(world, faults), work)
        const result = await run(start(world, again), recover)
        if (result === 'killed') await expectAnEnd(world, both, [faults, again])
        return result
      }
      for (
        let n = 1;
        (await killedAgain({ kernel: [{ kind: 'kill', at: n, effect: 'done' }] })) === 'killed';
      )
        n++
      for (
        let n = 1;
        (await killedAgain({ disk: [{ kind: 'kill', at: n, bytes: 40 }] })) === 'killed';
      )
        n++
    }
  })

  it('is recovered whatever is left of the journal of a crash, cut at any byte', async () => {
    const both = await ends()
    const { kernel } = await countOf(work)
    for (let at = 1; at <= kernel; at++) {
      const faults: Faults = { kernel: [{ kind: 'kill', at, effect: 'done' }] }
      const killed = async (): Promise<CrashWorld> => {
        const world = await worldFor(work)
        await run(start(world, faults), work)
        return world
      }
      for (const length of differentCuts(await killed())) {
        const world = await killed()
        cutJournal(world, length)
        await expectAnEnd(world, both, ['cut', at, length])
      }
    }
  })
}

function describeRefusals(work: Work): void {
  it.each(['EBUSY', 'ENODEV', 'EINVAL', 'EIO'])(
    'does all or nothing when any one write answers %s, whether it happened or not',
    async (code) => {
      const both = await ends()
      const { kernel } = await countOf(work)
      for (let at = 1; at <= kernel; at++) {
        const world = await worldFor(work)
        const outcome = await run(start(world, { kernel: [{ kind: 'errno', at, code }] }), work)
        const kind = (outcome as { kind: string }).kind
        const now = visibleState(world)
        if (work === claim && now === both.claimed) {
          // What was refused was so already: a node that is new has the mode that it is to have.
          expect([at, kind]).toEqual([at, 'done'])
        } else {
          expect([at, kind]).toEqual([at, work === claim ? 'rolled-back' : 'done'])
          expect(difference(both.before, now)).toEqual([])
        }
        await expectAnEnd(world, both, [code, at])
      }
    },
  )

  it.each(['none', 'done', 'later'] as const)(
    'leaves alone what does not come back, and recovers when it has (effect: %s)',
    async (effect) => {
      const both = await ends()
      const { kernel } = await countOf(work)
      for (let at = 1; at <= kernel; at++) {
        const world = await worldFor(work)
        const program = start(world, { kernel: [{ kind: 'late', at, effect }] })
        const outcome = await run(program, work)
        const { action } = program.kernel.changes[at - 1] ?? {}
        // A node's owner is no write that hangs; it is seen to be so, or tried again.
        if (action === 'write')
          expect(outcome).toMatchObject({ kind: 'incomplete', failure: { code: 'ETIMEDOUT' } })
        await program.kernel.happen()
        await expectAnEnd(world, both, [effect, at])
      }
    },
  )

  it('changes nothing, or all of it back, when the disk is full at any moment', async () => {
    const both = await ends()
    const { disk } = await countOf(work)
    for (let at = 1; at <= disk.length; at++) {
      const world = await worldFor(work)
      // From then on: a full disk stays full. Removing works all the same.
      const faults = disk
        .map((_, index) => index + 1)
        .filter((n) => n >= at && disk[n - 1]?.startsWith('remove') === false)
      const full: readonly DiskFault[] = faults.map((n) => ({
        kind: 'errno',
        at: n,
        code: 'ENOSPC',
      }))
      const outcome = await run(start(world, { disk: full }), work).catch((cause: unknown) => cause)
      expect(outcome).not.toBe('killed')
      await expectAnEnd(world, both, ['ENOSPC', at, outcome])
    }
  })
}

const journalOf = ({ disk }: CrashWorld): string =>
  [...disk.keys()].find((name) => name.endsWith('.journal')) ?? ''

function cutJournal(world: CrashWorld, length: number): void {
  const name = journalOf(world)
  world.disk.set(name, (world.disk.get(name) ?? '').slice(0, length))
}

/** Of all lengths, those that do not read like another one. */
function differentCuts(world: CrashWorld): readonly number[] {
  const whole = world.disk.get(journalOf(world)) ?? ''
  const seen = new Map<string, number>()
  for (let length = 0; length <= whole.length; length++) {
    cutJournal({ ...world }, length)
    const life = { killed: false, kill: () => undefined }
    const clock = { now: () => world.now, sleep: () => Promise.resolve() }
    const read = JSON.stringify(
      claimStore(lossyDirectory(world.disk, life), clock, testDigest).all(),
    )
    if (!seen.has(read)) seen.set(read, length)
    world.disk.set(journalOf(world), whole)
  }
  return [...seen.values()]
}
