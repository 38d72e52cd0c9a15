/** /etc: the users of a small system, root and one more, by whom programs know who owns a file. */
import { type Directory, directory, textFile } from '../sysfs/node.ts'

const PASSWD = [
  'root:x:0:0:root:/root:/bin/bash',
  'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin',
  'user:x:1000:1000:User:/home/user:/bin/bash',
]
const GROUPS = ['root:x:0:', 'kvm:x:104:user', 'nogroup:x:65534:', 'user:x:1000:']

export function etcDirectory(): Directory {
  const lines = (rows: readonly string[]) => () => textFile(() => `${rows.join('\n')}\n`)
  return directory({ group: lines(GROUPS), passwd: lines(PASSWD) })
}
