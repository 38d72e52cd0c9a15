/**
 * Kernel arguments as the kernel splits them (kernel/params.c): at white space, names with "-" and "_"
 * alike, nothing after a lone "--", which is for the init program.
 */
export interface KernelArgument {
  /** With "_" for "-": "vfio_pci.ids". */
  readonly name: string
  /** Empty for a bare word. */
  readonly value: string
  /** Comma-separated parts of the value, without empty ones. */
  readonly options: readonly string[]
  /** As it stands on the line. */
  readonly text: string
}

export function parseArguments(commandLine: string): readonly KernelArgument[] {
  const found: KernelArgument[] = []
  for (const text of commandLine.split(/\s+/)) {
    if (text === '--') break
    if (text === '') continue
    const at = text.indexOf('=')
    const name = (at < 0 ? text : text.slice(0, at)).replaceAll('-', '_')
    const value = at < 0 ? '' : unquoted(text.slice(at + 1))
    const options = value.split(',').filter((option) => option !== '')
    found.push({ name, value, options, text })
  }
  return found
}

function unquoted(value: string): string {
  return value.length > 1 && value.startsWith('"') && value.endsWith('"')
    ? value.slice(1, -1)
    : value
}

/**
 * The last argument of that name that holds one of the options: later ones win, as in the kernel.
 * Null when none does.
 */
export function lastWith(
  args: readonly KernelArgument[],
  name: string,
  options: readonly string[],
): { readonly argument: KernelArgument; readonly option: string } | null {
  let found: { argument: KernelArgument; option: string } | null = null
  for (const argument of args) {
    if (argument.name !== name) continue
    for (const option of argument.options)
      if (options.includes(option)) found = { argument, option }
  }
  return found
}

/** Whether a boolean argument was last set to true, as module parameters take it ("1", "y", "on"). */
export function isSet(args: readonly KernelArgument[], name: string): KernelArgument | null {
  const last = args.findLast((argument) => argument.name === name)
  return last !== undefined && /^(?:[1yt].*|on|)$/i.test(last.value) ? last : null
}
