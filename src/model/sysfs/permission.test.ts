import { describe, expect, it } from 'vitest'
import { outcomeOf } from '../driver-core/fake-bus.case.ts'
import type { Capability, Credentials } from '../process.ts'
import { demandOwner, modeAllows, ownerAfter, READ, WRITE } from './permission.ts'

function somebody(uid: number, gid = uid, ...capabilities: Capability[]): Credentials {
  return { uid, gid, capabilities: new Set(capabilities) }
}

const FILE = { mode: 0o640, uid: 7, gid: 104 }

describe('modeAllows()', () => {
  it('asks one set of bits: that of the owner, the group, or everybody else', () => {
    expect(modeAllows(FILE, somebody(7), READ | WRITE)).toBe(true)
    expect(modeAllows(FILE, somebody(8, 104), READ)).toBe(true)
    expect(modeAllows(FILE, somebody(8, 104), WRITE)).toBe(false)
    expect(modeAllows(FILE, somebody(8), READ)).toBe(false)
    expect(modeAllows({ ...FILE, mode: 0o066 }, somebody(7, 104), READ)).toBe(false)
    expect(modeAllows({ ...FILE, mode: 0o606 }, somebody(8, 104), READ)).toBe(false)
  })

  it('gives a user without a named group the one of the same number', () => {
    const { uid, capabilities } = somebody(104)
    expect(modeAllows(FILE, { uid, capabilities }, READ)).toBe(true)
  })
})

describe('ownerAfter()', () => {
  const to = { uid: 8, gid: 9 }

  it('lets only who may give files away name another user', () => {
    expect(ownerAfter(FILE, to, somebody(0, 0, 'CAP_CHOWN'))).toEqual(to)
    expect(outcomeOf(() => ownerAfter(FILE, to, somebody(7)))).toBe('EPERM')
    expect(outcomeOf(() => ownerAfter(FILE, { uid: 7, gid: 9 }, somebody(8)))).toBe('EPERM')
  })

  it('lets an owner give the file to the own group, and to no other', () => {
    expect(ownerAfter(FILE, { uid: 7, gid: 55 }, somebody(7, 55))).toEqual({ uid: 7, gid: 55 })
    expect(outcomeOf(() => ownerAfter(FILE, { uid: 7, gid: 56 }, somebody(7, 55)))).toBe('EPERM')
    expect(outcomeOf(() => ownerAfter(FILE, { uid: 8, gid: 55 }, somebody(7, 55)))).toBe('EPERM')
  })

  it('leaves what is -1', () => {
    const same = 0xffff_ffff
    expect(ownerAfter(FILE, { uid: same, gid: same }, somebody(9))).toEqual({ uid: 7, gid: 104 })
    expect(ownerAfter(FILE, { uid: same, gid: 7 }, somebody(7))).toEqual({ uid: 7, gid: 7 })
  })
})

describe('demandOwner()', () => {
  it('is content with the owner, and with who may act as one', () => {
    expect(outcomeOf(() => demandOwner(FILE, somebody(7)))).toBeUndefined()
    expect(outcomeOf(() => demandOwner(FILE, somebody(0, 0, 'CAP_FOWNER')))).toBeUndefined()
    expect(outcomeOf(() => demandOwner(FILE, somebody(0, 0, 'CAP_CHOWN')))).toBe('EPERM')
  })
})
