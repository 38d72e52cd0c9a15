/** `capture FILE`: record the host, so that any command can look at it elsewhere. */
import type { CommandOptions, Invocation } from '../invocation.ts'
import { printJson } from '../print-json.ts'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const { source, err } = invocation
  const path = args[0] ?? ''
  const identifiers = options['withIdentifiers'] === true
  await invocation.capture({ source, path, identifiers, overwrite: options['force'] === true })
  const host = await invocation.open(source)
  const label = host.snapshot().source
  if (invocation.json)
    printJson(invocation.out, 'Capture', { host: label, file: path, identifiers })
  const { uid } = host.readiness()
  const kept = identifiers
    ? 'serial numbers and MAC addresses are in it: do not publish it'
    : 'serial numbers, MAC addresses and the host name are not in it'
  err.print([
    `recorded ${label} in ${path}: ${kept}`,
    ...(uid.known && uid.value !== 0
      ? ['only what an ordinary user may read is in it: as root, config space and more is recorded']
      : []),
    `  next: isogroup --host file:${path} ls`,
  ])
}
