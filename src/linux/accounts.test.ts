import { describe, expect, it } from 'vitest'
import { KernelError, type KernelView } from '../kernel/kernel.ts'
import { readAccounts } from './accounts.ts'

function hostWith(files: Readonly<Record<string, string>>): KernelView {
  const no = (path: string): never => {
    throw new KernelError('ENOENT', 'read', path)
  }
  return {
    read: no,
    link: no,
    list: no,
    exists: () => false,
    text: (path) => files[path] ?? no(path),
  }
}

describe('users and groups of the host', () => {
  it('are the lines of /etc/passwd and /etc/group', () => {
    const { users, groups } = readAccounts(
      hostWith({
        '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:100::/home/user:/bin/sh\n',
        '/etc/group': 'root:x:0:\nkvm:x:104:alice,bob\n',
      }),
    )
    expect(users).toEqual({
      known: true,
      value: [
        { name: 'root', uid: 0, gid: 0 },
        { name: 'alice', uid: 1000, gid: 100 },
      ],
    })
    expect(groups).toEqual({
      known: true,
      value: [
        { name: 'root', gid: 0 },
        { name: 'kvm', gid: 104 },
      ],
    })
  })

  it('passes over comments, NIS entries, and ids that chown would not take as ids', () => {
    const lines = [
      '#a:x:1:1:::',
      '+::::::',
      ':x:3:3:::',
      'b:x:-1:1:::',
      'c:x:4294967295:1:::',
      'd:x::4:::',
    ]
    const { users } = readAccounts(hostWith({ '/etc/passwd': `${lines.join('\n')}\ne:x:5:6:::\n` }))
    expect(users).toEqual({ known: true, value: [{ name: 'e', uid: 5, gid: 6 }] })
  })

  it('are unknown, not empty, where the files cannot be read', () => {
    const { users, groups } = readAccounts(hostWith({}))
    expect(users).toEqual({ known: false, why: '/etc/passwd does not exist' })
    expect(groups.known).toBe(false)
  })
})
