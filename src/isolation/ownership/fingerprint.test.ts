import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { DeviceIdentity } from '../live-host.ts'
import { changesBetween, fingerprintOf, replaced } from './fingerprint.ts'

const GPU: DeviceIdentity = {
  address: '0000:01:00.0',
  ids: '10de:1b80 1462:3362 030000',
  path: '00/01.0/00.0',
}
const SOUND: DeviceIdentity = {
  address: '0000:01:00.1',
  ids: '10de:10f0 1462:3362 040300',
  path: '00/01.0/00.1',
}
const DISK: DeviceIdentity = {
  address: '0000:01:00.0',
  ids: '144d:a80a 144d:a801 010802',
  path: '00/01.0/00.0',
}

const plain = (text: string): string => text

describe('fingerprintOf()', () => {
  it('is the same for the same devices in the same places, in any order, under any address', () => {
    const moved = [SOUND, GPU].map((one) => ({
      ...one,
      address: one.address.replace('01:', '02:'),
    }))
    expect(fingerprintOf(moved, plain)).toBe(fingerprintOf([GPU, SOUND], plain))
  })

  it('differs when a device, its ids or its place does', () => {
    const anyMember = fc.record({
      address: fc.constant('0000:01:00.0'),
      ids: fc.constantFrom('a', 'b'),
      path: fc.constantFrom('00/01.0', '00/02.0'),
    })
    const anyGroup = fc.uniqueArray(anyMember, { maxLength: 3, selector: ({ path }) => path })
    const sorted = (group: readonly DeviceIdentity[]): readonly string[] =>
      group.map(({ path, ids }) => `${path} ${ids}`).toSorted()
    fc.assert(
      fc.property(anyGroup, anyGroup, (a, b) => {
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
        expect(fingerprintOf(a, plain) === fingerprintOf(b, plain)).toBe(isSame)
      }),
    )
  })
})

describe('changesBetween()', () => {
  it('says nothing when nothing happened', () => {
    expect(changesBetween([GPU, SOUND], [SOUND, GPU])).toEqual([])
  })

  it('says who came, who left, and who is another one', () => {
    expect(changesBetween([GPU, SOUND], [DISK])).toEqual([
      '0000:01:00.0 is another device now: 144d:a80a 144d:a801 010802 instead of 10de:1b80 1462:3362 030000',
      '0000:01:00.1 (10de:10f0 1462:3362 040300) has left the group',
    ])
    expect(changesBetween([GPU], [GPU, SOUND])).toEqual([
      '0000:01:00.1 (10de:10f0 1462:3362 040300) has joined the group',
    ])
    expect(changesBetween([GPU], [{ ...GPU, address: '0000:02:00.0' }])).toEqual([
      '0000:01:00.0 is called 0000:02:00.0 now',
    ])
  })

  it('takes what could not be read for no change', () => {
    const unread = { ...GPU, ids: '?:? ?:? ?' }
    expect(changesBetween([GPU], [unread])).toEqual([])
    expect(replaced([GPU], [unread])).toEqual([])
    expect(changesBetween([GPU], [{ ...GPU, path: '?' }])).toEqual([])
  })
})

describe('replaced()', () => {
  it('names addresses at which there is another device', () => {
    expect(replaced([GPU, SOUND], [DISK, SOUND])).toEqual(['0000:01:00.0'])
    expect(replaced([GPU, SOUND], [GPU])).toEqual([])
  })
})
