/**
 * The help of the whole program, made from the command table. It stands apart from the parser so that
 * `isogroup --help` need not load commander, which takes longer to load than the rest together.
 */
import { COMMANDS, GLOBAL_OPTIONS } from './command-table.ts'

const FOOTER = `
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
  5 failed and rolled back, 6 rollback incomplete, 7 no permission,
  130 interrupted
`

/** Whether the arguments ask for nothing but this text. */
export function asksForHelp(argv: readonly string[]): boolean {
  const [only, ...more] = argv
  return more.length === 0 && (only === '--help' || only === '-h')
}

export function helpText(): string {
  const commands = COMMANDS.filter(({ hidden }) => !hidden).map(
    ({ name, arguments: args, summary }): readonly [string, string] => [
      [name, ...args].join(' '),
      summary,
    ],
  )
  const options = [...GLOBAL_OPTIONS, HELP_OPTION]
  const width = Math.max(...[...options, ...commands].map(([term]) => term.length)) + 2
  const rows = (list: readonly (readonly [string, string])[]): string =>
    list.map(([term, text]) => `  ${term.padEnd(width)}${text}\n`).join('')
  return `Usage: isogroup [options] [command]

The isolation groups of a Linux machine: see them, why they are as they are,
and give them to users whole.

Options:
${rows(options)}
Commands (ls when none is given; COMMAND --help lists its own options):
${rows(commands)}${FOOTER}`
}

/** Flags and description, as commander has them too. */
export const HELP_OPTION: readonly [string, string] = [
  '-h, --help',
  'this text, or the help of a command',
]
