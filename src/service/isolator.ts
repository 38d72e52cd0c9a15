/**
 * The service that gives groups to users and takes them back: the only writer of records, and the only one
 * that asks a host to change.
 */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import { readPlanFacts } from '../isolation/plan/facts.ts'
import { makePlan, type Plan } from '../isolation/plan/plan.ts'
import type { ClaimRequest, HeldClaim } from '../isolation/plan/request.ts'
import { claimGroups } from './claim-groups.ts'
import { heldAddresses } from './claim-record.ts'
import { claimStore, type StoredClaim } from './claim-store.ts'
import { type ClaimView, damagedView, historyView } from './claim-view.ts'
import { confirmClaim, isUnconfirmed } from './confirmation.ts'
import { findClaim } from './find-claim.ts'
import type { Digest } from './framed-line.ts'
import { Guard, guardClaims, type GuardOptions } from './guard.ts'
import type { GuardEvent } from './guard-event.ts'
import { lookAtClaim } from './look-at-claim.ts'
import type { ClaimOutcome, RecoverOutcome, ReleaseOutcome } from './outcome.ts'
import type { Parts } from './parts.ts'
import { stillHanging } from './hanging.ts'
import { lockedTurn } from './rate-limit.ts'
import { recoverClaims } from './recover-claims.ts'
import { releaseClaim } from './release-claim.ts'
import type { Clock, StateDirectory } from './state-directory.ts'

export interface Isolator {
  /** Looks, and changes nothing. @throws IsogroupError not-found, usage, io */
  plan(request: ClaimRequest): Plan
  /**
   * Plans again and carries it out: all groups, or nothing.
   * @param begun called when the claim is recorded and before the first step, with its id: who watches over a
   * confirmation is started here. When it fails, so does the claim, and nothing was changed.
   * @throws IsogroupError refused (the driver cannot be loaded, others are writing), not-found, io; nothing was changed then
   */
  claim(request: ClaimRequest, begun?: (id: string) => Promise<void>): Promise<ClaimOutcome>
  /**
   * Gives everything back that a claim took.
   * @param selector id of a claim, the beginning of one, or the address of a device in its groups
   * @throws IsogroupError not-found, ambiguous, refused, io; nothing was changed then
   */
  release(selector: string): Promise<ReleaseOutcome>
  /**
   * The same, if the time for its confirmation has run out: what a watchdog does.
   * @returns null: it was confirmed, or is gone, or still has time
   */
  releaseUnconfirmed(id: string): Promise<ReleaseOutcome | null>
  /** Every claim, the oldest first. @throws IsogroupError permission, io */
  claims(): readonly ClaimView[]
  /** @param selector null = the one that waits for it @throws IsogroupError not-found, ambiguous, refused (too late), io */
  confirm(selector: string | null): Promise<ClaimView>
  /** Finishes or undoes what was cut short, and what was not confirmed. Claims with nothing to do are not listed. */
  recover(): Promise<readonly RecoverOutcome[]>
  /** Keeps the groups of all claims whole until the signal. @throws IsogroupError refused: another guard is running; permission, io */
  guard(options: GuardOptions): Promise<void>
  /** One look of the guard. @throws IsogroupError as guard does */
  guardOnce(say: (event: GuardEvent) => void): Promise<void>
}

export interface IsolatorOptions {
  readonly host: LiveHost
  /** Where claims are recorded. */
  readonly directory: StateDirectory
  readonly clock: Clock
  /** Eight hexadecimal digits, others at each call. */
  readonly newId: () => string
  readonly digest: Digest
  /** The user who runs the command. */
  readonly uid: number
  /** Milliseconds that one step may take; absent: ten seconds. */
  readonly deadline?: number
}

/** Longer than any bind or unbind of a healthy device takes. */
const DEADLINE = 10_000
/** How long a command waits for another one that is changing the host; milliseconds. */
const PATIENCE = 15_000
/** The watchdog has nobody who waits for it, and must not give up easily. */
const WATCHDOG_PATIENCE = 600_000
/** How old the facts of a plan may be that is carried out: nobody can have asked a question meanwhile. */
const FRESH = 2000

export function isolator(options: IsolatorOptions): Isolator {
  const { host, directory, clock, digest, deadline = DEADLINE } = options
  const store = claimStore(directory, clock, digest)
  const parts: Parts = { ...options, store, deadline }
  let latest: { readonly plan: Plan; readonly at: number } | null = null

  const plan = (request: ClaimRequest): Plan => {
    checkNothingHangs(host, store.all(), request)
    const made = makePlan(request, readPlanFacts(host, request, heldClaims(store.all(), host)))
    latest = { plan: made, at: clock.now() }
    return made
  }
  const planNow = (request: ClaimRequest): Plan => {
    const isFresh = latest?.plan.request === request && isRecent(latest.at, clock.now())
    return latest !== null && isFresh && isStill(host, latest.plan) ? latest.plan : plan(request)
  }
  const locked = async <T>(patience: number, work: () => Promise<T> | T): Promise<T> => {
    const unlock = await directory.lock('changes', patience)
    return finished(unlock, work)
  }
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> =>
    finished(await lockedTurn(parts, PATIENCE), work)

  return {
    plan,
    claim: (request, begun = nobodyWatches) =>
      inTurn(() => claimGroups(parts, planNow(request), begun)),
    release: (selector) =>
      inTurn(() => releaseClaim(parts, findClaim(store.all(), host, selector))),
    releaseUnconfirmed: (id) =>
      locked(WATCHDOG_PATIENCE, async () => {
        const stored = store.all().find((one) => one.id === id)
        if (stored === undefined) return null
        const found = findClaim([stored], host, id)
        const { record } = found
        const isDue = isUnconfirmed(record, clock.now()) && record.bootId === host.bootId()
        return isDue ? releaseClaim(parts, found) : null
      }),
    claims: () => {
      const all = store.all()
      return all.length === 0 ? [] : viewsOf(all, host)
    },
    confirm: (selector) => locked(PATIENCE, () => confirmClaim(parts, selector)),
    guard: (guardOptions) => guardClaims(parts, guardOptions),
    guardOnce: async (say) =>
      finished(await directory.lock('guard', 0), () => new Guard(parts, say).look()),
    recover: () => locked(PATIENCE, () => recoverClaims(parts)),
  }
}

/** Whatever the work comes to, the lock is given back. */
async function finished<T>(unlock: () => void, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work()
  } finally {
    unlock()
  }
}

function nobodyWatches(): Promise<void> {
  return Promise.resolve()
}

function isRecent(at: number, now: number): boolean {
  return now >= at && now - at < FRESH
}

/** Whether the devices are where they were when the plan was made, and nobody was faster. */
function isStill(host: LiveHost, { groups }: Plan): boolean {
  return groups.every(({ before }) => {
    const now = host.state(before.devices.map(({ address }) => address))
    return JSON.stringify(now) === JSON.stringify(before)
  })
}

/**
 * Whoever reads the override of a device that hangs waits as long as it does (Linux 6.1), so nothing is read of its group.
 * @throws IsogroupError refused
 */
function checkNothingHangs(
  host: LiveHost,
  all: readonly StoredClaim[],
  { targets }: ClaimRequest,
): void {
  const wedged = all.flatMap(({ record }) => record?.wedged ?? [])
  if (wedged.length === 0) return
  const members = host.groupsOf(targets.flat()).flatMap((group) => group.members)
  const asked = wedged.filter(({ address }) => members.some((one) => one.address === address))
  const [device] = stillHanging(host, asked)
  if (device === undefined) return
  throw new IsogroupError(
    'refused',
    `${device.address} hangs in the kernel: ${device.step} does not come back`,
    'isogroup claims says who holds it; when that is over: isogroup recover',
  )
}

/** Claims of another boot hold nothing. */
function heldClaims(all: readonly StoredClaim[], host: LiveHost): readonly HeldClaim[] {
  if (all.length === 0) return []
  const bootId = host.bootId()
  return all.flatMap(({ record }) => {
    if (record?.bootId !== bootId) return []
    const { id, driver, owner, reason } = record
    return [{ id, driver, owner, reason, addresses: heldAddresses(record) }]
  })
}

function viewsOf(all: readonly StoredClaim[], host: LiveHost): readonly ClaimView[] {
  const bootId = host.bootId()
  const programs = host.programs()
  return all.map((stored) => {
    const { record } = stored
    if (record === null) return damagedView(stored.id, stored.damage)
    return record.bootId === bootId ? lookAtClaim(host, programs, record) : historyView(record)
  })
}
