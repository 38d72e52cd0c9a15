/** `guard`: keeps claimed groups whole while devices come and go, until it is told to end. */
import type { GuardEvent } from '../../service/guard-event.ts'
import { AnsweredError } from '../answered-error.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { guardEventJson } from '../json/guard-event-json.ts'
import { checkPermission, openParts } from '../live-parts.ts'
import { single, wholeNumber } from '../option-values.ts'
import { printJsonLine } from '../print-json.ts'
import { guardEventLines } from '../text/guard-event-text.ts'

/** Seconds between two looks when nothing was heard. */
const EVERY = '5'
const EVERY_MAX = 3600
const MILLISECONDS = 1000

export async function run(
  invocation: Invocation,
  _args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const given = single(options, 'every', '--every') ?? EVERY
  const every = wholeNumber(given, '--every', { min: 1, max: EVERY_MAX, unit: 'seconds' })
  const { host, isolator } = await openParts(invocation, options)
  checkPermission(invocation)
  host.expectActions()
  const { out, json, outside, source } = invocation
  const alarms: string[] = []
  const say = (event: GuardEvent): void => {
    if (event.kind === 'alarm' || event.kind === 'trouble') alarms.push(event.kind)
    if (json) printJsonLine(out, 'GuardEvent', guardEventJson(event, source, outside.clock.now()))
    else out.print(guardEventLines(event, every, out))
  }
  if (options['once'] !== true) {
    const signal = outside.interruption()
    if (!json) out.print([`guarding the claims of ${source}; Ctrl-C ends it`])
    await isolator.guard({ interval: every * MILLISECONDS, signal, say })
    return
  }
  await isolator.guardOnce(say)
  if (alarms.length === 0) return
  throw new AnsweredError(
    'rollback-incomplete',
    'not every claimed group is whole',
    'the alarms say why; isogroup claims shows what each claim holds',
  )
}
