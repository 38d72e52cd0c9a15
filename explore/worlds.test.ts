/**
 * Each deliberate mistake is caught, under the name of what it breaks. That nothing is found without a
 * mistake is what `npm run explore` shows, in `npm test` too.
 */
import { describe, expect, it } from 'vitest'
import { explore } from './engine.ts'
import { type WorldPlan, worlds } from './model-run.ts'
import { MISTAKES } from './mutations.case.ts'
import { WORLDS } from './worlds.ts'

function world(name: string): WorldPlan {
  const found = WORLDS.find((plan) => plan.name === name)
  if (found === undefined) throw new Error(`no world ${name}`)
  return found
}

const LIMITS = { states: 20_000, depth: 40 }

/** Far from the start: a search that runs on gets there sooner. */
const DEEP = new Set(['open', 'deadlock'])

describe('every interleaving', () => {
  it.each(MISTAKES)('finds out when $name', ({ world: name, caughtAs, mutation }) => {
    const breadthFirst = !DEEP.has(caughtAs)
    const { counterExample } = explore(worlds(world(name), mutation), { ...LIMITS, breadthFirst })
    expect(counterExample?.violation.split(':')[0]).toBe(caughtAs)
  })
})
