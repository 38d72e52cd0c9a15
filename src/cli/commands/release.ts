/** `release TARGET|ID`: gives a claimed group back, every device as it was. */
import type { LiveHost } from '../../isolation/live-host.ts'
import { parseLooseAddress } from '../../pci/address.ts'
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
  host.expectActions()
  const outcome = await isolator.release(selectorOf(text, host, isolator))
  reportRelease(invocation, outcome, host)
}

/**
 * What the service looks for: ids and addresses are taken as they are, also of devices that are gone. Other
 * targets are looked up on the host, and any member of a group names its claim.
 */
function selectorOf(text: string, host: LiveHost, isolator: Isolator): string {
  if (parseLooseAddress(text) !== null) return text
  const id = text.toLowerCase()
  const isId = id.length >= ID_DIGITS_MIN && isolator.claims().some((it) => it.id.startsWith(id))
  if (isId) return id
  const [members = []] = groupTargets([text], host, host.snapshot())
  return members[0] ?? text
}

/** Fewer digits are no id, and may well be the number of a group. */
const ID_DIGITS_MIN = 4

function reportRelease(
  { out, err, json }: Invocation,
  outcome: ReleaseOutcome,
  host: LiveHost,
): void {
  const { claim } = outcome
  const isDone = outcome.kind === 'done'
  if (json) {
    printJson(out, 'ReleaseResult', {
      host: host.source,
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
