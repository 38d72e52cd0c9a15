/** `confirm [ID]`: keeps a claim that would be undone otherwise. */
import type { CommandOptions, Invocation } from '../invocation.ts'
import { claimJson } from '../json/claim-json.ts'
import { checkPermission, openParts } from '../live-parts.ts'
import { checkedText } from '../option-values.ts'
import { printJson } from '../print-json.ts'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const [id] = args
  const selector = id === undefined ? null : checkedText(id, 'the id')
  const { host, isolator } = await openParts(invocation, options)
  checkPermission(invocation)
  const claim = await isolator.confirm(selector)
  const { out, err, json } = invocation
  if (json) printJson(out, 'Confirmed', { host: host.source, claim: claimJson(claim) })
  err.print([`confirmed ${claim.id}: it stays until isogroup release ${claim.id}`])
}
