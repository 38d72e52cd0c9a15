/**
 * Each deliberate mistake is caught, under the name of what it breaks. That nothing is found without a
 * mistake is what `npm run explore` shows, in `npm test` too.
 */
import { describe, expect, it } from 'vitest'
import { explore } from './engine.ts'
import { type WorldPlan, worlds } from './model-run.ts'
import { MISTAKES } from './mutations.case.ts'
import { newcomersOf, type PresentMember } from '../src/isolation/ownership/kept-group.ts'
import { guardedWorld, WORLDS } from './worlds.ts'

function world(name: string, among = /^/): WorldPlan {
  const found = WORLDS.find((plan) => plan.name === name)
  if (found === undefined) throw new Error(`no world ${name}`)
  return { ...found, operations: found.operations.filter((one) => among.test(one.name)) }
}

const LIMITS = { states: 20_000, depth: 40, breadthFirst: true }

describe('every interleaving', () => {
  it.each(MISTAKES)('finds out when $name', ({ world: name, among, caughtAs, mutation }) => {
    const { counterExample } = explore(worlds(world(name, among), mutation), LIMITS)
    expect(counterExample?.violation.split(':')[0]).toBe(caughtAs)
  })

  it.each([
    ['sees no newcomers', (): readonly PresentMember[] => []],
    [
      'sees newcomers that have a driver only',
      (...[kept, now]: Parameters<typeof newcomersOf>) =>
        newcomersOf(kept, now).filter(({ driver }) => driver === 'vfio-pci'),
    ],
    [
      'takes bridges for newcomers',
      (...[kept, now]: Parameters<typeof newcomersOf>) =>
        now.filter(({ identity }) =>
          kept.target.devices.every(({ address }) => address !== identity.address),
        ),
    ],
  ] as const)('finds out when a guard %s', (_name, find) => {
    const among = /guard|plug|probe/
    const plan = guardedWorld(find)
    const operations = plan.operations.filter(({ name }) => among.test(name))
    const { counterExample } = explore(worlds({ ...plan, operations }), LIMITS)
    expect(counterExample?.violation.split(':')[0]).toBe('guard')
  })

  it('has a mistake for everything that must hold', () => {
    const kinds = ['ownership', 'reach', 'open', 'assignment', 'sharing', 'release', 'merge']
    expect(new Set(MISTAKES.map(({ caughtAs }) => caughtAs))).toEqual(
      new Set([...kinds, 'deadlock']),
    )
  })
})
