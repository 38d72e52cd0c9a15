/**
 * --owner: who gets the group's node. USER, UID, UID:GID, USER:GROUP; names are looked up on the host
 * that has the group, which need not be the machine isogroup runs on.
 */
import { IsogroupError } from '../base/errors.ts'
import type { Account, AccountGroup, LiveHost } from '../isolation/live-host.ts'
import type { ClaimOwner } from '../isolation/plan/request.ts'
import { nearest } from './nearest.ts'
import { printable } from './option-values.ts'

/** The largest id is taken by chown(2) as "leave it as it is". */
const ID_MAX = 0xffff_fffe

type AccountHost = Pick<LiveHost, 'accounts'>

/** @throws IsogroupError usage: no such form; not-found: no such user or group */
export function parseOwner(text: string, host: AccountHost): ClaimOwner {
  const [user = '', group, ...more] = text.split(':')
  if (user === '' || group === '' || more.length > 0) {
    throw new IsogroupError(
      'usage',
      `--owner ${printable(text)} is neither USER nor UID nor UID:GID`,
      'give a user such as alice, or numbers such as 1000:1000',
    )
  }
  const account = userOf(user, host)
  const gid = group === undefined ? account.gid : groupOf(group, host)
  return { uid: account.uid, gid, name: account.name }
}

function userOf(text: string, host: AccountHost): Account {
  const { users } = host.accounts()
  const uid = idOf(text, '--owner')
  if (uid !== null) {
    const named = users.known ? users.value.find((it) => it.uid === uid) : undefined
    // A number that nobody has a name for is allowed: services and containers use such.
    return named ?? { name: String(uid), uid, gid: 0 }
  }
  if (!users.known) throw notReadable('user', text, users.why)
  const found = users.value.find(({ name }) => name === text)
  if (found !== undefined) return found
  throw notThere('user', text, users.value)
}

function groupOf(text: string, host: AccountHost): number {
  const { groups } = host.accounts()
  const gid = idOf(text, '--owner')
  if (gid !== null) return gid
  if (!groups.known) throw notReadable('group', text, groups.why)
  const found = groups.value.find(({ name }) => name === text)
  if (found !== undefined) return found.gid
  throw notThere('group', text, groups.value)
}

/** A number; null for a name. */
function idOf(text: string, flag: string): number | null {
  if (!/^[-+]?\d/.test(text)) return null
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (id <= ID_MAX) return id
  throw new IsogroupError(
    'usage',
    `${flag}: ${printable(text)} is no id`,
    `ids are whole numbers from 0 to ${String(ID_MAX)}`,
  )
}

function notReadable(kind: 'user' | 'group', text: string, why: string): IsogroupError {
  return new IsogroupError(
    'not-found',
    `the ${kind} ${printable(text)} cannot be looked up: ${why}`,
    'give the numbers instead: --owner UID:GID',
  )
}

function notThere(
  kind: 'user' | 'group',
  text: string,
  known: readonly (Account | AccountGroup)[],
): IsogroupError {
  const near = nearest(
    text,
    known.map(({ name }) => name),
  )
  return new IsogroupError(
    'not-found',
    `there is no ${kind} ${printable(text)} in /etc/${kind === 'user' ? 'passwd' : 'group'}`,
    near.length === 0
      ? 'one from a directory service is given by number: --owner UID:GID'
      : `nearest: ${near.join(', ')}`,
  )
}
