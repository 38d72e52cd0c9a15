/**
 * `watchdog ID`, started by `claim --confirm`: waits until the time to confirm is over and undoes the claim
 * unless it was confirmed. Nobody reads what it says; what it could not undo is in the record of the claim.
 */
import { IsogroupError } from '../../base/errors.ts'
import type { ReleaseOutcome } from '../../service/outcome.ts'
import type { CommandOptions, Invocation } from '../invocation.ts'
import { openParts } from '../live-parts.ts'
import { checkedText } from '../option-values.ts'

/** Waits are cut into pieces so that a clock that is set, or a machine that slept, is noticed; milliseconds. */
const LOOK_EVERY = 1000

/** Another writer may be at work just then: a refusal is tried again so many times. */
const TRIES = 120

export async function run(
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
): Promise<void> {
  const id = checkedText(args[0] ?? '', 'the id')
  const { isolator } = await openParts(invocation, options)
  const { clock } = invocation.outside
  for (let tries = 0; tries < TRIES; tries++) {
    const claim = isolator.claims().find((one) => one.id === id)
    if (claim?.confirmBy === undefined || claim.confirmBy === null) return
    while (clock.now() < claim.confirmBy) {
      await clock.sleep(Math.min(claim.confirmBy - clock.now(), LOOK_EVERY))
    }
    if (await isReleased(() => isolator.releaseUnconfirmed(id))) return
    await clock.sleep(LOOK_EVERY)
  }
}

async function isReleased(release: () => Promise<ReleaseOutcome | null>): Promise<boolean> {
  try {
    return (await release()) !== null
  } catch (error) {
    if (error instanceof IsogroupError && error.code === 'refused') return false
    throw error
  }
}
