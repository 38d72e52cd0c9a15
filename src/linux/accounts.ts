/**
 * Users and groups of the host by name: /etc/passwd and /etc/group (passwd(5), group(5)).
 *
 * Only these files are read. Users of a directory service are not in them, and are given by number.
 */
import { type Fact, mapFact } from '../base/fact.ts'
import type { Account, AccountGroup, Accounts } from '../isolation/live-host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { readText, required } from './reading.ts'

/** Ids are 32 bits; the largest means "leave it as it is" to chown(2) and names nobody. */
const ID_MAX = 0xffff_fffe

/** Larger than the files of any host that keeps its users in files. */
const FILE_BYTES_MAX = 4 * 1024 * 1024

/** Lines that describe nobody are passed over, as the C library does. */
export function readAccounts(kernel: KernelView): Accounts {
  return {
    users: rowsOf(kernel, '/etc/passwd', accountOf),
    groups: rowsOf(kernel, '/etc/group', groupOf),
  }
}

function accountOf([name = '', , uid = '', gid = '']: readonly string[]): Account | null {
  const [user, group] = [idOf(uid), idOf(gid)]
  return name === '' || user === null || group === null ? null : { name, uid: user, gid: group }
}

function groupOf([name = '', , gid = '']: readonly string[]): AccountGroup | null {
  const group = idOf(gid)
  return name === '' || group === null ? null : { name, gid: group }
}

function rowsOf<T>(
  kernel: KernelView,
  path: string,
  parse: (fields: readonly string[]) => T | null,
): Fact<readonly T[]> {
  return mapFact(required(readText(kernel, path, FILE_BYTES_MAX), path), (text) =>
    text
      .split('\n')
      .filter((line) => !line.startsWith('#'))
      .map((line) => parse(line.split(':')))
      .filter((row) => row !== null),
  )
}

function idOf(text: string): number | null {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return id <= ID_MAX ? id : null
}
