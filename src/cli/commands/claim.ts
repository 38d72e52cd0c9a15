/** `claim TARGET...`: gives whole groups to a user, all or nothing. */
import { IsogroupError } from '../../base/errors.ts'
import type { PciFunction } from '../../isolation/host.ts'
import type { LiveHost } from '../../isolation/live-host.ts'
import type { Plan } from '../../isolation/plan/plan.ts'
import type { ClaimRequest } from '../../isolation/plan/request.ts'
import type { ClaimOutcome } from '../../service/outcome.ts'
import { AnsweredError } from '../answered-error.ts'
import { claimRequest } from '../claim-request.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { claimResultJson } from '../json/claim-json.ts'
import { planJson } from '../json/plan-json.ts'
import { checkPermission, type LiveParts, openParts } from '../live-parts.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { deviceLayout } from '../text/device-text.ts'
import { claimedLines } from '../text/claim-text.ts'
import { failureText, leftLines } from '../text/failure-text.ts'
import { groupNames, planLines, refusalHint, verdictText } from '../text/plan-text.ts'
import { writeLines } from '../text/writes-text.ts'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const isDry = options['dryRun'] === true
  const parts = await openParts(invocation, options)
  if (!isDry) {
    checkPermission(invocation)
    parts.host.expectActions()
  }
  const snapshot = parts.host.snapshot()
  const request = claimRequest(args, options, parts.host, snapshot)
  const plan = parts.isolator.plan(request)
  const show = (shown: Plan): void => showPlan(invocation, shown, snapshot.functions)
  if (isDry) {
    dryRun(invocation, plan, parts.host, show)
    return
  }
  if (plan.verdict === 'ready') {
    if (!invocation.json || options['yes'] !== true) show(plan)
    await checkConsent(invocation, plan, options['yes'] === true)
  }
  report(invocation, await carryOut(invocation, parts, plan, request), parts.host, show)
}

type ShowPlan = (plan: Plan) => void

/** The exact writes; when the answer is no, what is in the way. */
function dryRun(invocation: Invocation, plan: Plan, host: LiveHost, show: ShowPlan): void {
  const { out, err, json } = invocation
  if (json) printJson(out, 'Plan', { host: host.source, ...planJson(plan, host) })
  else if (plan.verdict === 'ready') out.print(writeLines(plan, host, out))
  if (plan.verdict === 'refused') {
    if (!json) show(plan)
    throw new AnsweredError('refused', verdictText(plan), refusalHint(plan))
  }
  if (!json) err.print(hanging('', `${verdictText(plan)}; nothing was changed`, err.width))
}

/** What will be done, for whoever is going to be asked, or reads the log later. */
function showPlan(
  { err, numeric }: Invocation,
  plan: Plan,
  functions: readonly PciFunction[],
): void {
  err.print([...planLines(plan, deviceLayout(err, numeric, functions)), ''])
}

/** No terminal and no --yes means no. @throws IsogroupError refused */
async function checkConsent(invocation: Invocation, plan: Plan, isGiven: boolean): Promise<void> {
  if (isGiven) return
  const answer = await invocation.outside.ask(`${verdictText(plan)}. Claim it? [y/N] `)
  if (answer !== null && /^y(es)?$/i.test(answer.trim())) return
  throw new IsogroupError(
    'refused',
    answer === null
      ? 'nobody is at a terminal to say yes; nothing was changed'
      : 'the answer was not yes; nothing was changed',
    '--yes says it beforehand, --dry-run shows every write',
  )
}

/** With --confirm, whoever undoes it is there before the first step. */
async function carryOut(
  invocation: Invocation,
  { isolator, state }: LiveParts,
  plan: Plan,
  request: ClaimRequest,
): Promise<ClaimOutcome> {
  if (plan.verdict !== 'ready') return { kind: plan.verdict, plan }
  if (request.confirmSeconds === null || state === null) return isolator.claim(request)
  return isolator.claim(request, (id) =>
    invocation.outside.startDetached([
      ...['watchdog', id, '--host', invocation.source, '--state', state],
    ]),
  )
}

function report(
  invocation: Invocation,
  outcome: ClaimOutcome,
  host: LiveHost,
  show: ShowPlan,
): void {
  const { out, err, json } = invocation
  if (json) {
    printJson(out, 'ClaimResult', { host: host.source, ...claimResultJson(outcome, host) })
  }
  const { plan } = outcome
  switch (outcome.kind) {
    case 'done':
      if (!json) out.print([outcome.claim.id])
      err.print(claimedLines(outcome.claim, plan, err))
      return
    case 'nothing-to-do':
      err.print(hanging('', verdictText(plan), err.width))
      return
    case 'refused':
      if (!json) show(plan)
      throw new AnsweredError(
        'refused',
        `${verdictText(plan)}; nothing was changed`,
        refusalHint(plan),
      )
    case 'rolled-back':
      throw new AnsweredError(
        'rolled-back',
        `${groupNames(plan)}: ${failureText(outcome.failure)}; everything is as it was before`,
        'put that right, then claim again',
      )
    case 'incomplete':
      err.print(leftLines(outcome.left, err))
      throw new AnsweredError(
        'rollback-incomplete',
        `${groupNames(plan)}: ${failureText(outcome.failure)}; not everything could be put back`,
        'put right what is listed, then: isogroup recover',
      )
  }
}
