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
  ['--host <source>', 'the machine to look at, see below (default: linux)'],
  ['--json', 'one JSON object on standard output'],
  ['--kernel <version>', 'use the rules of this kernel version, such as 6.1'],
  ['--color <when>', 'auto (the default), always or never'],
  ['-n, --numeric', 'ids instead of names'],
  ['-V, --version', 'the version of isogroup'],
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
