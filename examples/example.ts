/** What the examples have in common: their command line, and errors in words. */
import { parseArgs } from 'node:util'
import { IsogroupError } from 'isogroup/access'

export interface ExampleArguments<Name extends string> {
  readonly address: string
  /** "linux", "model:NAME" or "file:MACHINE.json" */
  readonly host: string
  readonly numbers: Readonly<Record<Name, number>>
}

/** ADDRESS [--host SOURCE], and options that are whole numbers. @throws IsogroupError usage */
export function exampleArguments<Name extends string>(
  numbers: Readonly<Record<Name, number>>,
): ExampleArguments<Name> {
  const names = Object.keys(numbers) as Name[]
  const options = Object.fromEntries(
    names.map((name) => [name, { type: 'string' as const, default: String(numbers[name]) }]),
  )
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ...options, host: { type: 'string', default: 'linux' } },
  })
  const [address, ...more] = positionals
  if (address === undefined || more.length > 0) {
    throw new IsogroupError(
      'usage',
      `${String(positionals.length)} addresses of devices were given, and one is wanted`,
      `ADDRESS [--host SOURCE]${names.map((name) => ` [--${name} N]`).join('')}`,
    )
  }
  const given: Readonly<Record<string, unknown>> = values
  const wholeNumber = (name: Name): number => {
    const value = Number(given[name])
    if (Number.isSafeInteger(value) && value >= 0) return value
    throw new IsogroupError('usage', `--${name} ${String(given[name])} is no whole number`)
  }
  const parsed = names.map((name) => [name, wholeNumber(name)])
  return {
    address,
    host: values.host,
    numbers: Object.fromEntries(parsed) as Record<Name, number>,
  }
}

/** Exit code 2 for a command line not understood, 1 for everything else that went wrong. */
export async function runExample(example: () => Promise<void>): Promise<void> {
  try {
    await example()
  } catch (cause) {
    const isUsage =
      cause instanceof TypeError || (cause instanceof IsogroupError && cause.code === 'usage')
    process.exitCode = isUsage ? 2 : 1
    console.error(cause instanceof Error ? cause.message : String(cause))
    if (cause instanceof IsogroupError && cause.hint !== '') console.error(`hint: ${cause.hint}`)
  }
}
