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
  /** Not shown in the help. */
  readonly hidden: boolean
  readonly load: () => Promise<{ readonly run: CommandRunner }>
}

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
  return { name, arguments: args, summary, options: [], hidden: false, load }
}

/** Behind the options and commands in `isogroup --help`. */
export const HELP_FOOTER = `
Hosts (--host):
  linux         this host (the default)
  linux:DIR     a folder that holds sys/ and proc/
  file:CAPTURE  a file written by isogroup capture
  lspci:FILE    the text of \`lspci -vvv -xxxx\`, best made as root; - is stdin
  model:NAME    a built-in machine

Targets:
  0000:01:00.0, 01:00.0, pci_0000_01_00_0, eth0, nvme0n1, 10de:1b80,
  a path in /sys or /dev, group:13 or 13

Exit codes:
  0 done, 1 internal, 2 usage, 3 refused, 4 no such group or device,
  7 no permission, 130 interrupted
`
