import { describe, expect, it } from 'vitest'
import { ageText } from './age-text.ts'

describe('an age', () => {
  it('is told in the largest units that say something', () => {
    const told = [
      -5, 999, 59_999, 60_000, 3_599_999, 3_600_000, 7_500_000, 172_799_999, 172_800_000, 1e9,
    ].map(ageText)
    expect(told).toEqual([
      '0 s',
      '0 s',
      '59 s',
      '1 min',
      '59 min',
      '1 h',
      '2 h 5 min',
      '47 h 59 min',
      '2 d',
      '11 d',
    ])
  })
})
