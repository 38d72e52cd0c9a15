/** The time of this machine. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Clock } from '../service/state-directory.ts'

export const SYSTEM_CLOCK: Clock = {
  now: () => Date.now(),
  async sleep(milliseconds, signal) {
    try {
      await wait(milliseconds, undefined, signal === undefined ? {} : { signal })
    } catch (cause) {
      if (signal?.aborted !== true) throw cause
    }
  },
}
