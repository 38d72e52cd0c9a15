import { describe, expect, it } from 'vitest'
import { describeCounterExample, explore, type World } from './engine.ts'

/** Two threads that each read a counter, then write what they read plus one: the lost update. */
function counters(threads: number, atomic: boolean): () => World {
  return () => {
    let value = 0
    const read: (number | null)[] = Array.from({ length: threads }, () => null)
    const done = Array.from({ length: threads }, () => false)
    return {
      choices: () => done.flatMap((over, n) => (over ? [] : [`thread ${String(n)}`])),
      take: (choice) => {
        const n = Number(choice.split(' ')[1])
        const before = read[n] ?? null
        if (atomic) value += 1
        else if (before === null) {
          read[n] = value
          return
        } else value = before + 1
        done[n] = true
      },
      key: () => JSON.stringify([value, read, done]),
      violation: () => {
        if (done.includes(false) || value === threads) return null
        return `${String(threads)} increments gave ${String(value)}`
      },
      atRest: () => !done.includes(false),
    }
  }
}

/** Two locks taken in opposite order. */
function philosophers(): World {
  const owner: (number | null)[] = [null, null]
  const position = [0, 0]
  const wanted = (n: number): number => (n === 0 ? position[0] : 1 - (position[1] ?? 0)) ?? 0
  const ready = (n: number): boolean => position[n] === 2 || owner[wanted(n)] === null
  return {
    choices: () => [0, 1].filter((n) => (position[n] ?? 0) < 3 && ready(n)).map(String),
    take: (choice) => {
      const n = Number(choice)
      if (position[n] === 2) owner.fill(null)
      else owner[wanted(n)] = n
      position[n] = (position[n] ?? 0) + 1
    },
    key: () => JSON.stringify([owner, position]),
    violation: () => null,
    atRest: () => position.every((at) => at === 3),
  }
}

const LIMITS = { states: 10_000, depth: 50 }

describe('explore', () => {
  it('visits every state of a world and says that it did', () => {
    const found = explore(counters(3, true), LIMITS)
    // Which of three threads are done: 2 to the power of 3.
    expect(found).toMatchObject({
      states: 8,
      transitions: 12,
      complete: true,
      counterExample: null,
    })
  })

  it('finds the shortest way to lose an update', () => {
    const { counterExample } = explore(counters(2, false), LIMITS)
    expect(counterExample?.violation).toBe('2 increments gave 1')
    expect(counterExample?.path).toHaveLength(4)
  })

  it('finds a deadlock', () => {
    const { counterExample } = explore(philosophers, LIMITS)
    expect(counterExample?.violation).toContain('deadlock')
    expect(counterExample?.path).toHaveLength(2)
  })

  it('says that it is not complete when a limit stopped it', () => {
    expect(explore(counters(3, true), { states: 5, depth: 50 }).complete).toBe(false)
    expect(explore(counters(3, true), { states: 100, depth: 2 })).toMatchObject({
      complete: false,
      depth: 2,
    })
  })

  it('prints the path, one step a line', () => {
    const text = describeCounterExample({ path: ['open', 'close'], violation: 'oops' })
    expect(text.split('\n')).toEqual(['oops', 'after 2 steps:', '  1  open', '  2  close'])
  })
})
