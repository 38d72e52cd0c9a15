/** `plan TARGET...`: what a claim would do and what speaks against it. Nothing is changed. */
import { AnsweredError } from '../answered-error.ts'
import { claimRequest } from '../claim-request.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { planJson } from '../json/plan-json.ts'
import { openParts } from '../live-parts.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { shellWords } from '../shell-words.ts'
import { deviceLayout } from '../text/device-text.ts'
import { planLines, refusalHint, verdictText } from '../text/plan-text.ts'

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const { host, isolator } = await openParts(invocation, options)
  const snapshot = host.snapshot()
  const plan = isolator.plan(claimRequest(args, options, host, snapshot))
  const { out, err, json, numeric } = invocation
  if (json) printJson(out, 'Plan', { host: host.source, ...planJson(plan, host) })
  else out.print(planLines(plan, deviceLayout(out, numeric, snapshot.functions)))
  const verdict = verdictText(plan)
  if (plan.verdict === 'refused') throw new AnsweredError('refused', verdict, refusalHint(plan))
  if (json) return
  err.print(hanging('', verdict, err.width))
  if (plan.verdict === 'ready') err.print([`  next: ${claimCommand(invocation)}`])
}

/** The same words with `claim` for `plan`: options and targets stay as they are. */
function claimCommand({ argv, source, outside }: Invocation): string {
  const at = argv.findIndex((word, index) => word === 'plan' && !isValue(argv[index - 1]))
  const words = argv.map((word, index) => (index === at ? 'claim' : word))
  const sudo = source === 'linux' && outside.uid !== 0 ? 'sudo ' : ''
  return `${sudo}isogroup ${shellWords(words)}`
}

/** Whether the word before is an option that takes the next word as its value. */
function isValue(before: string | undefined): boolean {
  if (before?.startsWith('--') !== true || before.includes('=')) return false
  return before !== '--json' && before !== '--numeric'
}
