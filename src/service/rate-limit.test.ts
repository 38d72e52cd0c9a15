import { describe, expect, it } from 'vitest'
import { testDigest } from './digest.case.ts'
import { memoryDirectory } from './memory-directory.ts'
import { lockedTurn } from './rate-limit.ts'
import type { Clock, StateDirectory } from './state-directory.ts'

interface Bucket {
  readonly directory: StateDirectory
  readonly clock: Clock & { time: number }
  readonly take: () => Promise<void>
}

function bucket(): Bucket {
  const directory = memoryDirectory()
  const clock = {
    time: 1_700_000_000_000,
    now: () => clock.time,
    sleep: (milliseconds: number) => {
      clock.time += milliseconds
      return Promise.resolve()
    },
  }
  const take = async (): Promise<void> => {
    const unlock = await lockedTurn({ directory, clock, digest: testDigest }, 1000)
    unlock()
  }
  return { directory, clock, take }
}

describe('the limit of claims and releases', () => {
  it('lets sixty through at once, and then one a second', async () => {
    const { clock, take } = bucket()
    const begin = clock.time
    for (let n = 0; n < 60; n++) await take()
    expect(clock.time - begin).toBe(0)
    for (let n = 0; n < 100; n++) await take()
    expect(clock.time - begin).toBe(100_000)
  })

  it('fills up again, and no further than sixty', async () => {
    const { clock, take } = bucket()
    for (let n = 0; n < 60; n++) await take()
    clock.time += 24 * 3600 * 1000
    const begin = clock.time
    for (let n = 0; n < 61; n++) await take()
    expect(clock.time - begin).toBe(1000)
  })

  it('is not fooled by a clock that is set back, nor stopped by it', async () => {
    const { clock, take } = bucket()
    for (let n = 0; n < 60; n++) await take()
    clock.time -= 3600 * 1000
    const begin = clock.time
    await take()
    expect(clock.time - begin).toBe(1000)
  })

  it('begins anew when its file is damaged', async () => {
    const { clock, directory, take } = bucket()
    for (let n = 0; n < 60; n++) await take()
    directory.replace('limit', 'nonsense')
    const begin = clock.time
    await take()
    expect(clock.time).toBe(begin)
  })

  it('leaves the records to others while it waits', async () => {
    const { clock, directory, take } = bucket()
    for (let n = 0; n < 60; n++) await take()
    let isFree = false
    const sleep = (span: number): Promise<void> => {
      clock.time += span
      return Promise.resolve()
    }
    clock.sleep = async (milliseconds) => {
      const unlock = await directory.lock('changes', 0)
      isFree = true
      unlock()
      await sleep(milliseconds)
    }
    await take()
    expect(isFree).toBe(true)
  })
})
