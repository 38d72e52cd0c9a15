/**
 * The table of commands: one entry feeds the parser, the help, the documentation and its test.
 *
 * `load` imports the command's module when it is run, so that no command pays for another.
 */
import type { CommandRunner } from './invocation.ts'

export interface CommandEntry {
  readonly name: string
  /** In commander's notation: "<target>" must be given, "[other]" may be. */
  readonly arguments: readonly string[]
  readonly summary: string
  /** Flags and description of the command's own options. */
  readonly options: readonly (readonly [flags: string, description: string])[]
  /** What the command's own help says beyond that; empty = nothing. */
  readonly explanation: string
  /** Not shown in the help. */
  readonly hidden: boolean
  readonly load: () => Promise<{ readonly run: CommandRunner }>
}

/** Options of every command: flags and description. */
export const GLOBAL_OPTIONS: readonly (readonly [flags: string, description: string])[] = [
  ['--host <source>', 'the machine to look at, see below (linux)'],
  ['--json', 'one JSON object on standard output'],
  ['--kernel <version>', 'use the rules of this kernel version, such as 6.1'],
  ['--color <when>', 'auto (the default), always or never'],
  ['-n, --numeric', 'ids instead of names'],
  ['-V, --version', 'the version of isogroup'],
]

const STATE_OPTION = ['--state <dir>', 'where claims are recorded (/var/lib/isogroup)'] as const

/** What a claim is to be: of plan and claim alike. */
const REQUEST_OPTIONS: CommandEntry['options'] = [
  ['--driver <name>', 'the VFIO driver that gets the devices (vfio-pci)'],
  ['--owner <user>', 'who gets the group: USER, UID or UID:GID'],
  ['--reason <text>', 'a note for other people'],
  ['--allow <code>', 'accept this finding; may be given again and again'],
  ['--confirm <seconds>', 'undo it unless `isogroup confirm` comes in time'],
  STATE_OPTION,
]
const CHANGES = `
Changes, as many as wanted, made in this order:
  acs=on@PORT, acs=off@PORT  the port has ACS, or has none
  move DEVICE PORT           the card goes into another port
  add KIND PORT              a new device, which later changes call new1, new2
  remove DEVICE              the function is taken out, with all below it
  vfs DEVICE N               N virtual functions
  bind DEVICE DRIVER         another driver takes it; "none": nobody
  kernel=VERSION             another kernel, such as kernel=6.1
  intremap=on|off            interrupt remapping
  iommu=on|off               the IOMMU

DEVICE is a function in any form of a target. PORT is a bridge, or a root bus
such as 0000:00. \`add ? 0000:00\` lists the kinds. Nothing happens to the host.
`

export const COMMANDS: readonly CommandEntry[] = [
  entry('ls', [], 'every group: strength, who holds it, devices', () => import('./commands/ls.ts')),
  entry(
    'show',
    ['<target>'],
    'everything about one group or device',
    () => import('./commands/show.ts'),
  ),
  entry('tree', [], 'the PCI topology with group borders', () => import('./commands/tree.ts')),
  entry(
    'explain',
    ['<a>', '[b]'],
    'why devices are together or apart',
    () => import('./commands/explain.ts'),
  ),
  entry(
    'predict',
    [],
    'the groups the topology asks for, and differences',
    () => import('./commands/predict.ts'),
  ),
  {
    ...entry(
      'what-if',
      ['<change...>'],
      'groups before and after a change of the machine',
      () => import('./commands/what-if.ts'),
    ),
    explanation: CHANGES,
  },
  entry(
    'doctor',
    [],
    'is this host ready to hand devices out?',
    () => import('./commands/doctor.ts'),
  ),
  {
    ...entry(
      'capture',
      ['<file>'],
      'record the host for replay and bug reports',
      () => import('./commands/capture.ts'),
    ),
    options: [
      ['--with-identifiers', 'keep serial numbers, MAC addresses and the host name'],
      ['--force', 'replace the file when it exists'],
    ],
  },
  {
    ...entry(
      'plan',
      ['<target...>'],
      'what a claim of whole groups would do, or why not',
      () => import('./commands/plan.ts'),
    ),
    options: REQUEST_OPTIONS,
  },
  {
    ...entry(
      'claim',
      ['<target...>'],
      'give whole groups to a user, all or nothing',
      () => import('./commands/claim.ts'),
    ),
    options: [
      ...REQUEST_OPTIONS,
      ['--dry-run', 'print the exact writes and change nothing'],
      ['-y, --yes', 'do not ask'],
    ],
  },
  {
    ...entry(
      'release',
      ['<target>'],
      'give a claimed group back as it was',
      () => import('./commands/release.ts'),
    ),
    options: [STATE_OPTION],
  },
  {
    ...entry(
      'claims',
      [],
      'every claim: who, why, since when, how well kept',
      () => import('./commands/claims.ts'),
    ),
    options: [STATE_OPTION],
  },
  entry(
    'contexts',
    [],
    'programs that use groups: who shares what',
    () => import('./commands/contexts.ts'),
  ),
  {
    ...entry(
      'confirm',
      ['[id]'],
      'keep what was claimed with --confirm',
      () => import('./commands/confirm.ts'),
    ),
    options: [STATE_OPTION],
  },
  {
    ...entry(
      'recover',
      [],
      'finish or undo what a crash left half done',
      () => import('./commands/recover.ts'),
    ),
    options: [STATE_OPTION],
  },
  {
    ...entry(
      'guard',
      [],
      'keep claimed groups whole as devices come and go',
      () => import('./commands/guard.ts'),
    ),
    options: [
      ['--every <seconds>', 'look also when nothing was heard for so long (5)'],
      ['--once', 'look once, put right what is not, and end'],
      STATE_OPTION,
    ],
  },
  {
    ...entry(
      'export',
      ['<format>', '<target...>'],
      'text for qemu, libvirt, cdi, udev or modprobe',
      () => import('./commands/export.ts'),
    ),
    options: [STATE_OPTION],
  },
  {
    ...entry(
      'watchdog',
      ['<id>'],
      'undo a claim that nobody confirms',
      () => import('./commands/watchdog.ts'),
    ),
    options: [STATE_OPTION],
    hidden: true,
  },
  {
    ...entry(
      'start',
      [],
      'a first look: the groups of this host or of a built-in machine',
      () => import('./commands/start.ts'),
    ),
    hidden: true,
  },
]

function entry(
  name: string,
  args: readonly string[],
  summary: string,
  load: CommandEntry['load'],
): CommandEntry {
  return { name, arguments: args, summary, options: [], explanation: '', hidden: false, load }
}
