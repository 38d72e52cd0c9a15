/**
 * Claims and releases are slowed when somebody makes them in a loop: each takes drivers from devices and gives
 * them back, which costs the whole host. A bucket of tokens: 60 changes at once, and then one a second.
 * Recovery, confirmation and the guard are never slowed.
 */
import { IsogroupError } from '../base/errors.ts'
import { type Digest, framedLine, readFramedLines } from './framed-line.ts'
import type { Clock, StateDirectory } from './state-directory.ts'

/** Documented in docs/operating.md. */
const BURST = 60
/** Milliseconds for one token. */
const REFILL = 1000

const FILE = 'limit'

/**
 * Takes a token. To be called under the lock.
 * @returns 0, or the milliseconds to wait until there is one again
 * @throws IsogroupError io, permission
 */
function takeToken(directory: StateDirectory, clock: Clock, digest: Digest): number {
  const now = clock.now()
  const { tokens, at } = readBucket(directory.read(FILE), digest) ?? { tokens: BURST, at: now }
  // A clock that was set back gives no tokens, and takes none away.
  const filled = Math.min(BURST, tokens + Math.max(0, now - at) / REFILL)
  if (filled < 1) {
    if (now < at) directory.replace(FILE, framedLine({ tokens, at: now }, digest))
    return Math.ceil((1 - filled) * REFILL)
  }
  directory.replace(FILE, framedLine({ tokens: filled - 1, at: now }, digest))
  return 0
}

function readBucket(
  text: string | null,
  digest: Digest,
): { readonly tokens: number; readonly at: number } | null {
  const [line] = text === null ? [] : readFramedLines(text, digest)
  const { tokens, at } = (line ?? {}) as { tokens?: unknown; at?: unknown }
  if (typeof tokens !== 'number' || typeof at !== 'number') return null
  return { tokens, at }
}

/** Patience with oneself: more waiting than this is said instead. Milliseconds. */
const WAIT_MAX = 60_000

export interface LockedTurn {
  readonly directory: StateDirectory
  readonly clock: Clock
  readonly digest: Digest
}

/**
 * Waits for the lock and a token; without the lock while it waits for a token.
 * @returns gives the lock back @throws IsogroupError refused, io, permission
 */
export async function lockedTurn(parts: LockedTurn, patience: number): Promise<() => void> {
  const { directory, clock, digest } = parts
  for (let waited = 0; ; ) {
    const unlock = await directory.lock('changes', patience)
    let wait: number
    try {
      wait = takeToken(directory, clock, digest)
    } catch (cause) {
      unlock()
      throw cause
    }
    if (wait === 0) return unlock
    unlock()
    waited += wait
    if (waited > WAIT_MAX) throw tooMany()
    await clock.sleep(wait)
  }
}

function tooMany(): IsogroupError {
  return new IsogroupError(
    'refused',
    'there are too many claims and releases at this moment; nothing was changed',
    `${String(BURST)} at once, and then one a second: try again later`,
  )
}
