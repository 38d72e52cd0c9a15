/** The command line as commander parses it: global options before or after the command. */
import { Command, CommanderError, Help } from 'commander'
import { IsogroupError } from '../base/errors.ts'
import type { KernelVersion } from '../base/kernel-version.ts'
import { COMMANDS, type CommandEntry, GLOBAL_OPTIONS } from './command-table.ts'
import { HELP_OPTION, helpText } from './help.ts'
import type { CommandOptions } from './invocation.ts'
import { kernelVersion } from './kernel-word.ts'
import { nearest } from './nearest.ts'
import type { ColorChoice } from './screen.ts'

/** What the user asked for. */
export interface ParsedLine {
  readonly command: CommandEntry
  readonly args: readonly string[]
  readonly options: CommandOptions
  readonly source: string
  readonly json: boolean
  readonly numeric: boolean
  readonly kernel: KernelVersion | null
  readonly color: ColorChoice
}

interface GlobalOptions {
  readonly host?: string
  readonly json?: boolean
  readonly numeric?: boolean
  readonly kernel?: string
  readonly color?: string
}

/**
 * Parses the arguments after the program's name.
 * @returns null when help or the version was asked for and printed through `print`
 * @throws IsogroupError `usage`
 */
export function parseLine(
  argv: readonly string[],
  version: () => string,
  print: (text: string) => void,
): ParsedLine | null {
  let parsed: ParsedLine | null = null
  const program = globalProgram(version, print)
  function take(command: CommandEntry, args: readonly string[], options: CommandOptions): void {
    const globals = program.opts<GlobalOptions>()
    parsed = {
      command,
      args,
      options,
      source: globals.host ?? 'linux',
      json: globals.json === true,
      numeric: globals.numeric === true,
      kernel: kernelOption(globals.kernel),
      color: colorOption(globals.color),
    }
  }
  for (const entry of COMMANDS) addCommand(program, entry, take)
  // Without a command: the list. An unknown word arrives here too.
  program.allowExcessArguments(true).action(() => {
    const [word] = program.args
    if (word !== undefined) throw unknownCommand(word)
    take(entryNamed('ls'), [], {})
  })
  try {
    program.parse([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) return null
    throw usageError(error.message)
  }
  return parsed
}

const HELP_WIDTH = 80

function globalProgram(version: () => string, print: (text: string) => void): Command {
  const program = new Command('isogroup')
    .helpOption(...HELP_OPTION)
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: print,
      writeErr: () => undefined,
      // Fixed, so that the help is the same everywhere, and process.stdout need not be set up.
      getOutHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
    })
    .configureHelp({
      formatHelp: (command, helper) =>
        command.parent === null ? helpText() : new Help().formatHelp(command, helper),
    })
  for (const [flags, description] of GLOBAL_OPTIONS) program.option(flags, description)
  program.on('option:version', () => {
    print(`${version()}\n`)
    throw new CommanderError(0, 'commander.version', '')
  })
  return program
}

function addCommand(
  program: Command,
  entry: CommandEntry,
  take: (entry: CommandEntry, args: readonly string[], options: CommandOptions) => void,
): void {
  const command = program
    .command(entry.name, { hidden: entry.hidden })
    .description(entry.summary)
    .allowExcessArguments(false)
  if (entry.explanation !== '') command.addHelpText('after', entry.explanation)
  for (const argument of entry.arguments) command.argument(argument)
  for (const [flags, description] of entry.options) {
    if (flags.includes('<')) command.option(flags, description, collect)
    else command.option(flags, description)
  }
  command.action(() => {
    take(entry, command.args, command.opts<CommandOptions>())
  })
}

/** Every value of an option that was given several times; the command says whether it may be. */
function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value]
}

function entryNamed(name: string): CommandEntry {
  const found = COMMANDS.find((entry) => entry.name === name)
  if (found === undefined) throw new Error(`no command ${name} in the table`)
  return found
}

function kernelOption(text: string | undefined): KernelVersion | null {
  if (text === undefined) return null
  return kernelVersion(text, `--kernel "${text}"`, '--kernel 6.12')
}

function colorOption(text: string | undefined): ColorChoice {
  const choice = text ?? 'auto'
  if (choice === 'auto' || choice === 'always' || choice === 'never') return choice
  throw new IsogroupError('usage', `--color "${choice}" is no choice`, 'say auto, always or never')
}

function unknownCommand(word: string): IsogroupError {
  const names = COMMANDS.filter((entry) => !entry.hidden).map((entry) => entry.name)
  const meant = nearest(word, names)
  const [first] = meant
  let hint = `commands are ${names.join(', ')}`
  if (word === 'help') hint = 'isogroup --help'
  else if (/[:.\d]/.test(word)) hint = `isogroup show ${word}`
  else if (first !== undefined) hint = `isogroup ${first}`
  return new IsogroupError('usage', `"${word}" is no command`, hint)
}

/** commander's "error: unknown option '--foo'\n(Did you mean --bar?)" in our form. */
function usageError(message: string): IsogroupError {
  const [first = '', ...more] = message.replace(/^error: /, '').split('\n')
  const suggestion = more.join(' ').replace(/^\((.*)\)$/, '$1')
  return new IsogroupError(
    'usage',
    first,
    suggestion === '' ? '`isogroup --help` lists commands and options' : suggestion,
  )
}
