import { describe, expect, it } from 'vitest'
import { known, unknown } from '../base/fact.ts'
import { IsogroupError } from '../base/errors.ts'
import type { Accounts } from '../isolation/live-host.ts'
import { parseOwner } from './owner.ts'

const ACCOUNTS: Accounts = {
  users: known([
    { name: 'root', uid: 0, gid: 0 },
    { name: 'alice', uid: 1000, gid: 100 },
  ]),
  groups: known([{ name: 'kvm', gid: 104 }]),
}

const hostWith = (accounts: Accounts): { accounts(): Accounts } => ({ accounts: () => accounts })
const parse = (text: string, accounts = ACCOUNTS): unknown => parseOwner(text, hostWith(accounts))

function codeOf(text: string, accounts = ACCOUNTS): string {
  try {
    parse(text, accounts)
  } catch (error) {
    if (error instanceof IsogroupError) return error.code
    throw error
  }
  return 'taken'
}

describe('--owner', () => {
  it('takes users by name, with their main group', () => {
    expect(parse('alice')).toEqual({ uid: 1000, gid: 100, name: 'alice' })
    expect(parse('root')).toEqual({ uid: 0, gid: 0, name: 'root' })
  })

  it('takes a group of its own behind a colon, by name or number', () => {
    expect(parse('alice:kvm')).toEqual({ uid: 1000, gid: 104, name: 'alice' })
    expect(parse('alice:7')).toEqual({ uid: 1000, gid: 7, name: 'alice' })
  })

  it('takes numbers, named where they have a name', () => {
    expect(parse('1000')).toEqual({ uid: 1000, gid: 100, name: 'alice' })
    expect(parse('64055:108')).toEqual({ uid: 64055, gid: 108, name: '64055' })
    expect(parse('64055')).toEqual({ uid: 64055, gid: 0, name: '64055' })
  })

  it('knows no other users and groups, and names the nearest', () => {
    expect(codeOf('bob')).toBe('not-found')
    expect(codeOf('alice:wheel')).toBe('not-found')
    expect(() => parse('alise')).toThrow(expect.objectContaining({ hint: 'nearest: alice' }))
  })

  it('takes no malformed ids, and not the one that chown ignores', () => {
    for (const text of [
      '',
      ':',
      'alice:',
      ':100',
      '1:2:3',
      '-1',
      '1.5',
      '4294967295',
      '1e3',
      '0x0',
      '99999999999',
      '1000:-1',
    ]) {
      expect([text, codeOf(text)]).toEqual([text, 'usage'])
    }
  })

  it('takes numbers even where names cannot be looked up', () => {
    const blind: Accounts = { users: unknown('/etc/passwd does not exist'), groups: unknown('no') }
    expect(parse('5:6', blind)).toEqual({ uid: 5, gid: 6, name: '5' })
    expect(() => parse('alice', blind)).toThrow('cannot be looked up: /etc/passwd does not exist')
  })
})
