/** `recover`: finishes or undoes what a crash cut short, and what nobody confirmed. */
import type { RecoverOutcome } from '../../service/outcome.ts'
import { AnsweredError } from '../answered-error.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { claimJson } from '../json/claim-json.ts'
import { checkPermission, openParts } from '../live-parts.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { leftLines } from '../text/failure-text.ts'

const DID: Readonly<Record<RecoverOutcome['did'], string>> = {
  finished: 'was complete already; its record says so now',
  undone: 'undone: everything is as it was before the claim',
  history: 'of an earlier boot, which took it all back; forgotten',
  incomplete: 'could not be undone completely',
}

export async function run(
  invocation: Invocation,
  _args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const { host, isolator } = await openParts(invocation, options)
  checkPermission(invocation)
  host.expectActions()
  const outcomes = await isolator.recover()
  const { out, err, json } = invocation
  if (json) {
    printJson(out, 'Recovery', {
      host: host.source,
      claims: outcomes.map(({ claim, did, left }) => ({ claim: claimJson(claim), did, left })),
    })
  } else {
    out.print(outcomes.flatMap(({ claim, did }) => hanging(`${claim.id}  `, DID[did], out.width)))
    if (outcomes.length === 0) err.print(['nothing to recover'])
  }
  const failed = outcomes.filter(({ did }) => did === 'incomplete')
  if (failed.length === 0) return
  err.print(failed.flatMap(({ left }) => leftLines(left, err)))
  throw new AnsweredError(
    'rollback-incomplete',
    `not everything could be given back: ${failed.map(({ claim }) => claim.id).join(', ')}`,
    '`isogroup claims` says what is in the way; then run isogroup recover again',
  )
}
