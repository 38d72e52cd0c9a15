/**
 * /proc/self: the calling process, as far as programs ask about themselves before they use VFIO
 * (fs/proc/array.c, fs/proc/base.c). Who calls is only known when a file is read.
 */
import type { Capability, Credentials, Process } from '../process.ts'
import { type Directory, directory, type File } from '../sysfs/node.ts'
import { groupOf } from '../sysfs/permission.ts'

/** include/uapi/linux/capability.h */
const BIT: Readonly<Record<Capability, bigint>> = {
  CAP_CHOWN: 0n,
  CAP_DAC_OVERRIDE: 1n,
  CAP_FOWNER: 3n,
  CAP_IPC_LOCK: 14n,
  CAP_SYS_RAWIO: 17n,
  CAP_SYS_ADMIN: 21n,
}
/** Capabilities of Linux 6: 0 to 40. */
const ALL = (1n << 41n) - 1n

/** @param more files of other parts of the kernel */
export function procSelf(more: Readonly<Record<string, () => File>> = {}): Directory {
  return directory({
    ...more,
    limits: () => ofCaller(limits),
    status: () => ofCaller((who) => status(who)),
  })
}

function ofCaller(show: (who: Credentials) => string): File {
  return { kind: 'file', mode: 0o444, read: show }
}

function isProcess(who: Credentials): who is Process {
  return 'memory' in who
}

/** Effective capabilities as a mask; who has every one that the model knows has all that there are. */
function mask({ capabilities }: Credentials): bigint {
  const names = Object.keys(BIT) as Capability[]
  if (names.every((name) => capabilities.has(name))) return ALL
  return [...capabilities].reduce((sum, name) => sum | (1n << BIT[name]), 0n)
}

/** TASK_COMM_LEN, without its terminating zero. */
const NAME_MAX = 15

/** Name of a process as the kernel keeps it: cut. */
export function commOf({ name }: Process): string {
  return name.slice(0, NAME_MAX)
}

/** @param state of the process; who reads about itself is running */
export function status(who: Credentials, state = 'R (running)'): string {
  const process = isProcess(who) ? who : null
  const uid = String(who.uid)
  const capabilities = mask(who).toString(16).padStart(16, '0')
  const gid = String(groupOf(who))
  const pid = String(process?.pid ?? 1)
  const locked = (process?.memory.lockedPages ?? 0) * 4
  return [
    `Name:\t${process === null ? 'init' : commOf(process)}`,
    'Umask:\t0022',
    `State:\t${state}`,
    `Tgid:\t${pid}`,
    `Pid:\t${pid}`,
    `PPid:\t${pid === '1' ? '0' : '1'}`,
    `Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
    `Gid:\t${gid}\t${gid}\t${gid}\t${gid}`,
    `VmLck:\t${String(locked).padStart(8)} kB`,
    'CapInh:\t0000000000000000',
    `CapPrm:\t${capabilities}`,
    `CapEff:\t${capabilities}`,
    `CapBnd:\t${ALL.toString(16).padStart(16, '0')}`,
    'CapAmb:\t0000000000000000',
    '',
  ].join('\n')
}

/** Name, soft and hard limit, unit: the kernel's table, with the defaults of a usual distribution. */
const LIMITS: readonly (readonly [string, string, string, string])[] = [
  ['Max cpu time', 'unlimited', 'unlimited', 'seconds'],
  ['Max file size', 'unlimited', 'unlimited', 'bytes'],
  ['Max data size', 'unlimited', 'unlimited', 'bytes'],
  ['Max stack size', '8388608', 'unlimited', 'bytes'],
  ['Max core file size', '0', 'unlimited', 'bytes'],
  ['Max resident set', 'unlimited', 'unlimited', 'bytes'],
  ['Max processes', '63431', '63431', 'processes'],
  ['Max open files', '1024', '1048576', 'files'],
  ['Max locked memory', '', '', 'bytes'],
  ['Max address space', 'unlimited', 'unlimited', 'bytes'],
  ['Max file locks', 'unlimited', 'unlimited', 'locks'],
  ['Max pending signals', '63431', '63431', 'signals'],
  ['Max msgqueue size', '819200', '819200', 'bytes'],
  ['Max nice priority', '0', '0', ''],
  ['Max realtime priority', '0', '0', ''],
  ['Max realtime timeout', 'unlimited', 'unlimited', 'us'],
]

export function limits(who: Credentials): string {
  const memlock = isProcess(who) ? who.memory.memlockLimit : Infinity
  const locked = memlock === Infinity ? 'unlimited' : String(memlock)
  const row = (name: string, soft: string, hard: string, unit: string): string =>
    `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit.padEnd(10)}\n`
  return (
    row('Limit', 'Soft Limit', 'Hard Limit', 'Units') +
    LIMITS.map(([name, soft, hard, unit]) =>
      name === 'Max locked memory' ? row(name, locked, locked, unit) : row(name, soft, hard, unit),
    ).join('')
  )
}
