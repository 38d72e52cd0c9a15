/**
 * The standing exploration: every invariant in every state that a limited search reaches, and each
 * deliberate mistake caught under its name.
 */
import { describe, expect, it } from 'vitest'
import { describeCounterExample, explore } from './engine.ts'
import { type Mutation, type WorldPlan, worlds } from './model-run.ts'
import { MISTAKES } from './mutations.case.ts'
import { WORLDS } from './worlds.ts'

function world(name: string): WorldPlan {
  const found = WORLDS.find((plan) => plan.name === name)
  if (found === undefined) throw new Error(`no world ${name}`)
  return found
}

function firstFault(name: string, states: number, mutation: Mutation | null): string | null {
  const { counterExample } = explore(worlds(world(name), mutation), { states, depth: 40 })
  return counterExample === null ? null : describeCounterExample(counterExample)
}

describe('every interleaving', () => {
  it.each(MISTAKES)('finds out when $name', ({ world: name, caughtAs, mutation }) => {
    const found = firstFault(name, 20_000, mutation)
    expect(found?.split(/[:\n]/)[0]).toBe(caughtAs)
  })
})
