/** `release TARGET|ID`: gives a claimed group back, every device as it was. */
import { IsogroupError } from '../../base/errors.ts'
import type { LiveHost } from '../../isolation/live-host.ts'
import type { Isolator } from '../../service/isolator.ts'
import type { ReleaseOutcome } from '../../service/outcome.ts'
import { AnsweredError } from '../answered-error.ts'
import { groupTargets } from '../group-target.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { claimJson } from '../json/claim-json.ts'
import { checkPermission, openParts } from '../live-parts.ts'
import { checkedText } from '../option-values.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { counted } from '../text/count-text.ts'
import { failureText, leftLines } from '../text/failure-text.ts'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const text = checkedText(args[0] ?? '', 'the target')
  const { host, isolator } = await openParts(invocation, options)
  checkPermission(invocation)
  const outcome = await isolator.release(selectorOf(text, host, isolator))
  reportRelease(invocation, outcome, host)
}

/** Ids of claims, which a person copies, come before groups and devices, which may be called alike. */
function selectorOf(text: string, host: LiveHost, isolator: Isolator): string {
  const claims = isolator.claims()
  if (claims.some(({ id }) => id === text)) return text
  // A device that is gone from the host may still be in a claim.
  if (claims.some(({ devices }) => devices.some(({ address }) => address === text))) return text
  const held = new Set(claims.flatMap(({ devices }) => devices.map(({ address }) => address)))
  try {
    const [members = []] = groupTargets([text], host, host.snapshot())
    return members.find((address) => held.has(address)) ?? members[0] ?? text
  } catch (error) {
    // The beginning of an id is no target; what looks like neither is told as a target is.
    const begins = claims.some(({ id }) => id.startsWith(text.toLowerCase()))
    if (begins && error instanceof IsogroupError) return text.toLowerCase()
    throw error
  }
}

export function reportRelease(
  { out, err, json }: Invocation,
  outcome: ReleaseOutcome,
  host: LiveHost,
): void {
  const { claim } = outcome
  const isDone = outcome.kind === 'done'
  if (json) {
    printJson(out, 'ReleaseResult', {
      host: host.snapshot().source,
      outcome: outcome.kind,
      claim: claimJson(claim),
      failure: isDone ? null : outcome.failure,
      left: isDone ? [] : outcome.left,
    })
  }
  if (isDone) {
    const count = counted(claim.devices.length, 'device')
    err.print(hanging('', `released ${claim.id}: ${count} as before the claim`, err.width))
    return
  }
  err.print(leftLines(outcome.left, err))
  throw new AnsweredError(
    'rollback-incomplete',
    `${claim.id}: ${failureText(outcome.failure)}; not everything could be given back`,
    'put right what is listed, then: isogroup recover',
  )
}
