/** What the guard says, as JSON: one object a line, each with its time. */
import type { GuardEvent } from '../../service/guard-event.ts'

/** @param at milliseconds since 1970 */
export function guardEventJson(event: GuardEvent, host: string, at: number): object {
  const { kind, ...rest } = event
  return { host, at: new Date(at).toISOString(), event: kind, ...rest }
}
