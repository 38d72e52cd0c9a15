/** How well a claimed group is kept whole, whichever groups its devices are in now: of several the weakest counts. */
import { known } from '../base/fact.ts'
import type { LiveGroup, Programs } from '../isolation/live-host.ts'
import { type Protection, protectionOf, weakest } from '../isolation/ownership/protection.ts'

/** @param whole whether every device that the claim holds is where it should be */
export function protectionNow(
  groups: readonly LiveGroup[],
  programs: Programs,
  whole: boolean,
): Protection {
  return weakest(
    groups.map(({ group, members }) => {
      const drivers = members.map(({ driver }) => known(driver))
      return protectionOf({ drivers, whole, users: programs.usersOf(group) })
    }),
  )
}
