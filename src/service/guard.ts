/**
 * The guard: as long as it runs, claimed groups stay whole.
 *
 *     uevent of a PCI function --> bell --+--> look at every claim (keep-group.ts), repair, say what changed
 *     nothing for `interval` -------------'
 *
 * Events mean no more than "look": many at once ring the bell once, lost ones cost an interval at most, and what
 * is known is on the host and in the records alone, so the guard can be killed and started again at any time.
 */
import { IsogroupError } from '../base/errors.ts'
import type { DeviceWatch, Programs } from '../isolation/live-host.ts'
import type { Protection } from '../isolation/ownership/protection.ts'
import type { ClaimRecord } from './claim-record.ts'
import { isUnconfirmed } from './confirmation.ts'
import type { GroupEvent, GuardEvent } from './guard-event.ts'
import { keepGroup } from './keep-group.ts'
import type { Parts } from './parts.ts'
import { takeBack } from './release-claim.ts'
import { type RepairLimit, repairLimit } from './repair-limit.ts'

export interface GuardOptions {
  /** Milliseconds after which it looks even when nothing was heard. */
  readonly interval: number
  /** Aborted when it is to end. */
  readonly signal: AbortSignal
  readonly say: (event: GuardEvent) => void
}

/** How long others may keep the records before that is said; milliseconds. */
const PATIENCE = 15_000

/** Until the signal. @throws IsogroupError refused: another guard is running; permission, io */
export async function guardClaims(parts: Parts, options: GuardOptions): Promise<void> {
  const { directory, host, clock } = parts
  const unlock = await directory.lock('guard', 0)
  const bell = new Bell()
  const end = (): void => bell.ring()
  options.signal.addEventListener('abort', end)
  const watch = host.watch()
  const listening = listen(watch, bell, options.say)
  try {
    const guard = new Guard(parts, options.say)
    for (;;) {
      bell.still()
      await guard.look()
      if (options.signal.aborted) break
      await clock.sleep(options.interval, bell.signal)
    }
  } finally {
    options.signal.removeEventListener('abort', end)
    await watch.close()
    await listening
    unlock()
  }
}

async function listen(
  watch: DeviceWatch,
  bell: Bell,
  say: (event: GuardEvent) => void,
): Promise<void> {
  for await (const { action } of watch) {
    if (action === 'lost') say({ kind: 'lost' })
    bell.ring()
  }
}

/** Rings since the last `still` are one ring. */
class Bell {
  #sleep = new AbortController()

  /** Aborted once it was rung. */
  get signal(): AbortSignal {
    return this.#sleep.signal
  }

  ring(): void {
    this.#sleep.abort()
  }

  still(): void {
    if (this.#sleep.signal.aborted) this.#sleep = new AbortController()
  }
}

interface Said {
  readonly protection: Protection | null
  readonly alarm: string
}

const NOTHING_SAID: Said = { protection: null, alarm: '' }

/** What was said already, and the looks at all claims. */
export class Guard {
  readonly #parts: Parts
  readonly #say: (event: GuardEvent) => void
  readonly #limit: RepairLimit
  /** By claim and number of the group in it. */
  readonly #said = new Map<string, Said>()
  #trouble = ''

  constructor(parts: Parts, say: (event: GuardEvent) => void) {
    this.#parts = parts
    this.#say = say
    this.#limit = repairLimit(parts.clock)
  }

  /** At all claims of this boot. What goes wrong is said, and does not end it. */
  async look(): Promise<void> {
    try {
      if (this.#parts.directory.list().length > 0) await this.#lookLocked()
      this.#trouble = ''
    } catch (cause) {
      if (!(cause instanceof IsogroupError)) throw cause
      if (cause.message === this.#trouble) return
      this.#trouble = cause.message
      this.#say({ kind: 'trouble', what: cause.message })
    }
  }

  async #lookLocked(): Promise<void> {
    const { directory, store, host } = this.#parts
    const unlock = await directory.lock('changes', PATIENCE)
    try {
      const bootId = host.bootId()
      const records = store.all().flatMap(({ record }) => {
        return record?.bootId === bootId && record.state === 'claimed' ? [record] : []
      })
      if (records.length > 0) {
        const programs = host.programs()
        for (const record of records) await this.#lookAt(record, programs)
      }
      this.#forgetOthers(records)
    } finally {
      unlock()
    }
  }

  async #lookAt(record: ClaimRecord, programs: Programs): Promise<void> {
    if (isUnconfirmed(record, this.#parts.clock.now())) {
      const { left } = await takeBack(this.#parts, record, null)
      this.#say({ kind: 'unconfirmed', claim: record.id, left })
      return
    }
    let now = record
    for (let at = 0; at < record.groups.length; at++) now = await this.#keep(now, at, programs)
  }

  async #keep(record: ClaimRecord, at: number, programs: Programs): Promise<ClaimRecord> {
    const said: GroupEvent[] = []
    const parts = {
      ...this.#parts,
      limit: this.#limit,
      programs,
      say: (event: GroupEvent) => void said.push(event),
    }
    const key = `${record.id} ${String(at)}`
    try {
      const look = await keepGroup(parts, record, at)
      const before = this.#said.get(key) ?? NOTHING_SAID
      const alarm = look.left.join('\n')
      if (alarm !== before.alarm) {
        said.push(alarm === '' ? { kind: 'well' } : { kind: 'alarm', why: look.left })
      }
      const { protection } = look
      if (protection !== before.protection) said.push({ kind: 'protection', protection })
      this.#said.set(key, { protection, alarm })
      this.#sayAll(record.id, look.group, said)
      return look.record
    } catch (cause) {
      if (!(cause instanceof IsogroupError)) throw cause
      this.#alarm(key, record.id, cause.message, said)
      return record
    }
  }

  /** A group that cannot be looked at: nothing is known of its protection. */
  #alarm(key: string, claim: string, message: string, said: GroupEvent[]): void {
    if (this.#said.get(key)?.alarm !== message) said.push({ kind: 'alarm', why: [message] })
    this.#said.set(key, { protection: null, alarm: message })
    this.#sayAll(claim, null, said)
  }

  #sayAll(claim: string, group: string | null, events: readonly GroupEvent[]): void {
    for (const event of events) this.#say({ ...event, claim, group })
  }

  /** Claims that were released: what was said of them is of no use any more. */
  #forgetOthers(records: readonly ClaimRecord[]): void {
    const ids = new Set(records.map(({ id }) => id))
    for (const key of this.#said.keys()) {
      if (!ids.has(key.split(' ')[0] ?? '')) this.#said.delete(key)
    }
  }
}
