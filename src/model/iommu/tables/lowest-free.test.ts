import { describe, expect, it } from 'vitest'
import { LowestFree } from './lowest-free.ts'

describe('numbers handed out lowest first', () => {
  it('come back when they are given back', () => {
    const numbers = new LowestFree(4)
    expect([1, 2, 3, 4, 5].map(() => numbers.take())).toEqual([0, 1, 2, 3, -1])
    numbers.give(2)
    numbers.give(1)
    expect([numbers.take(), numbers.take(), numbers.used]).toEqual([1, 2, 4])
  })

  it('come in aligned blocks that are free as a whole', () => {
    const numbers = new LowestFree(16)
    for (let n = 0; n < 7; n += 1) numbers.take()
    numbers.give(0)
    numbers.give(2)
    // 0 and 2 are free, their neighbours are not.
    expect(numbers.take(2)).toBe(8)
    expect(numbers.take(4)).toBe(12)
    expect(numbers.take(4)).toBe(-1)
    numbers.give(8, 2)
    expect(numbers.take(4)).toBe(8)
    expect(numbers.take()).toBe(0)
  })
})
