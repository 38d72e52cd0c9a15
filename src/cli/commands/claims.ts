/** `claims`: every claim, and how well it is kept. */
import type { CommandOptions, Invocation } from '../invocation.ts'
import { claimJson } from '../json/claim-json.ts'
import { openParts } from '../live-parts.ts'
import { printJson } from '../print-json.ts'
import { claimLines } from '../text/claim-text.ts'

export async function run(
  invocation: Invocation,
  _args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const { host, isolator } = await openParts(invocation, options)
  const claims = isolator.claims()
  const { out, err, json, outside } = invocation
  if (json) {
    printJson(out, 'ClaimList', { host: host.source, claims: claims.map(claimJson) })
    return
  }
  const now = outside.clock.now()
  out.print(claims.flatMap((claim) => claimLines(claim, now, out)))
  if (claims.length === 0) err.print(['no claims', '  next: isogroup plan TARGET'])
}
