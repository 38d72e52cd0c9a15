import { constants } from 'node:os'
import { describe, expect, it } from 'vitest'
import { errnoName } from './errno.ts'

describe('errnoName()', () => {
  it('agrees with the system for every name that both know', () => {
    const wrong = Object.entries(constants.errno).filter(([name, number]) => {
      // Two names for one number: the first is the one programs say.
      if (['EWOULDBLOCK', 'ENOTSUP', 'EDEADLOCK'].includes(name)) return false
      const ours = errnoName(number)
      return ours !== name && ours !== `E${String(number)}`
    })
    expect(wrong).toEqual([])
  })

  it('knows what Node does not, and keeps numbers without a name', () => {
    expect([77, 517, 524, 9999].map(errnoName)).toEqual([
      'EBADFD',
      'EPROBE_DEFER',
      'ENOTSUPP',
      'E9999',
    ])
  })
})
