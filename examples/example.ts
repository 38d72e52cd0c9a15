/** What the examples have in common: their command line, and errors in words. */
import { parseArgs } from 'node:util'
import { IsogroupError } from 'isogroup/access'

export interface ExampleArguments<Name extends string> {
  readonly address: string
  /** "linux", "model:NAME" or "file:MACHINE.json" */
  readonly host: string
  readonly numbers: Readonly<Record<Name, number>>
}

/**
 * ADDRESS [--host SOURCE], and options that are whole numbers; with --help the program says so and ends.
 * @throws IsogroupError usage
 */
export function exampleArguments<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
): ExampleArguments<Name> {
  const names = Object.keys(numbers) as Name[]
  const usage = `ADDRESS [--host SOURCE]${names.map((name) => ` [--${name} N]`).join('')}`
  const { values, positionals } = parseCommandLine(numbers, usage)
  if (values.help) {
    console.log(`usage: node ${process.argv[1] ?? 'EXAMPLE'} ${usage}`)
    process.exit(0)
  }
  const [address, ...more] = positionals
  if (address === undefined || more.length > 0) {
    throw new IsogroupError(
      'usage',
      `${String(positionals.length)} addresses of devices were given, and one is wanted`,
      usage,
    )
  }
  const given: Readonly<Record<string, unknown>> = values
  const wholeNumber = (name: Name): number => {
    const value = Number(given[name])
    if (Number.isSafeInteger(value) && value >= 0) return value
    throw new IsogroupError('usage', `--${name} ${String(given[name])} is no whole number`, usage)
  }
  const parsed = names.map((name) => [name, wholeNumber(name)])
  return {
    address,
    host: values.host,
    numbers: Object.fromEntries(parsed) as Record<Name, number>,
  }
}

function parseCommandLine(numbers: Readonly<Record<string, number>>, usage: string) {
  const options = Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => {
      return [name, { type: 'string' as const, default: String(value) }]
    }),
  )
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        ...options,
        host: { type: 'string', default: 'linux' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    throw new IsogroupError('usage', cause.message.split('. ')[0] ?? cause.message, usage)
  }
}

/** Exit code 2 for a command line not understood, 1 for everything else that went wrong. */
export async function runExample(example: () => Promise<void>): Promise<void> {
  try {
    await example()
  } catch (cause) {
    const isUsage = cause instanceof IsogroupError && cause.code === 'usage'
    process.exitCode = isUsage ? 2 : 1
    console.error(cause instanceof Error ? cause.message : String(cause))
    if (cause instanceof IsogroupError && cause.hint !== '') console.error(`hint: ${cause.hint}`)
  }
}
