/**
 * The records of all claims: what is to be on the disk before a step is taken.
 *
 *     claim-3f9c1a07.journal   a line for each change of the record, whole, and for each step before it is taken
 *     claim-3f9c1a07.json      the record as it is now, once more, replaced in one piece
 *
 * Each line is good by itself, and the one with the highest number counts, in whichever file it is: a journal
 * that was cut anywhere, or one file that is damaged or lost, loses no claim. A claim is forgotten by removing
 * both files, the journal last.
 */
import { IsogroupError } from '../base/errors.ts'
import type { Action } from '../isolation/transaction/action.ts'
import { parseAction, parseClaim } from './claim-fields.ts'
import type { ClaimRecord } from './claim-record.ts'
import { type Digest, framedLine, readFramedLines } from './framed-line.ts'
import type { Clock, StateDirectory } from './state-directory.ts'

export type StoredClaim = ReadableClaim | DamagedClaim

export interface ReadableClaim {
  readonly id: string
  readonly record: ClaimRecord
  /** The last step that was begun since the record was written; null: none was. */
  readonly lastStep: BegunStep | null
}

/** Neither file has a record that can be read. */
export interface DamagedClaim {
  readonly id: string
  readonly record: null
  /** Why: "cannot read /var/lib/isogroup/claim-3f9c1a07.json: EISDIR" */
  readonly damage: string
}

export interface BegunStep {
  readonly action: Action
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface ClaimStore {
  /** The oldest first. @throws IsogroupError permission, io */
  all(): readonly StoredClaim[]
  /** Writes the record down, and gives it back with its number. @throws IsogroupError: then it is not written */
  save(record: ClaimRecord): ClaimRecord
  /** Writes down that a step is about to be taken. @throws IsogroupError: then it must not be taken */
  begin(id: string, action: Action): void
  /** @throws IsogroupError permission, io */
  forget(id: string): void
  /** Removes what a crash left of claims that were never begun. @throws IsogroupError permission, io */
  sweep(): void
}

/** What lines say: a record, or a step. */
interface Found {
  readonly record: ClaimRecord | null
  readonly steps: readonly (BegunStep & { readonly sequence: number })[]
  readonly highest: number
}

const NO_LINE = 'no line of it is whole'
const NAME = /^claim-([0-9a-f]{8})\.(journal|json)$/

export function claimStore(directory: StateDirectory, clock: Clock, digest: Digest): ClaimStore {
  /** Highest number used so far, by claim. */
  const sequences = new Map<string, number>()
  /** Claims whose journal is known to end with a whole line. */
  const whole = new Set<string>()

  const next = (id: string): number => (sequences.get(id) ?? 0) + 1
  const append = (id: string, sequence: number, value: object): void => {
    const name = journalOf(id)
    const line = framedLine({ ...value, sequence }, digest)
    // A line that was cut by a crash must not take the next one with it.
    const isCut = !whole.delete(id) && directory.read(name)?.endsWith('\n') === false
    directory.append(name, isCut ? `\n${line}` : line)
    whole.add(id)
    sequences.set(id, sequence)
  }

  const load = (id: string): StoredClaim | null => {
    const journal = readable(directory, journalOf(id))
    const copy = readable(directory, copyOf(id))
    const damage = journal.damage ?? copy.damage
    // Not one whole line: it was cut while the claim was being recorded, and no step had been taken.
    const isCut = copy.text === null && journal.text?.includes('\n') !== true
    if (isCut && damage === null) return null
    const texts = [journal.text, copy.text].filter((text) => text !== null)
    const found = texts.map((text) => linesIn(text, id, digest))
    const record = newest(found.map((one) => one.record))
    const steps = found.flatMap((one) => one.steps)
    sequences.set(id, Math.max(0, ...found.map(({ highest }) => highest)))
    if (record === null) return { id, record, damage: damage ?? NO_LINE }
    const last = steps.findLast(({ sequence }) => sequence > record.sequence)
    return {
      id,
      record,
      lastStep: last === undefined ? null : { action: last.action, at: last.at },
    }
  }

  const ids = (): readonly string[] => [
    ...new Set(directory.list().flatMap((name) => NAME.exec(name)?.[1] ?? [])),
  ]
  const forget = (id: string): void => {
    directory.remove(copyOf(id))
    directory.remove(journalOf(id))
    sequences.delete(id)
    whole.delete(id)
  }

  return {
    all() {
      return ids()
        .map(load)
        .filter((stored) => stored !== null)
        .sort((a, b) => age(a) - age(b) || (a.id < b.id ? -1 : 1))
    },
    save(record) {
      const numbered = { ...record, sequence: next(record.id) }
      append(record.id, numbered.sequence, { claim: numbered })
      try {
        directory.replace(copyOf(record.id), framedLine({ claim: numbered }, digest))
      } catch (cause) {
        // One of the two is on the disk, which is enough; the other is there for damage.
        if (!(cause instanceof IsogroupError)) throw cause
      }
      return numbered
    },
    begin(id, action) {
      append(id, next(id), { step: action, at: clock.now() })
    },
    forget,
    sweep() {
      for (const id of ids()) if (load(id) === null) forget(id)
    },
  }
}

/** A file that is in the way, or not to be trusted, is a damage of its claim and of no other. @throws IsogroupError permission */
function readable(
  directory: StateDirectory,
  name: string,
): { readonly text: string | null; readonly damage: string | null } {
  try {
    return { text: directory.read(name), damage: null }
  } catch (cause) {
    if (!(cause instanceof IsogroupError) || cause.code !== 'io') throw cause
    return { text: null, damage: cause.message }
  }
}

function journalOf(id: string): string {
  return `claim-${id}.journal`
}

function copyOf(id: string): string {
  return `claim-${id}.json`
}

function age({ record }: StoredClaim): number {
  return record?.madeAt ?? 0
}

function newest(records: readonly (ClaimRecord | null)[]): ClaimRecord | null {
  const all = records.filter((record) => record !== null)
  return all.reduce<ClaimRecord | null>(
    (best, one) => (best === null || one.sequence > best.sequence ? one : best),
    null,
  )
}

function linesIn(text: string, id: string, digest: Digest): Found {
  const records: ClaimRecord[] = []
  const steps: (BegunStep & { readonly sequence: number })[] = []
  for (const value of readFramedLines(text, digest)) {
    const line = value as { claim?: unknown; step?: unknown; at?: unknown; sequence?: unknown }
    const record = parseClaim(line.claim)
    if (record?.id === id) records.push(record)
    const action = parseAction(line.step)
    const { at, sequence } = line
    if (action === null || typeof at !== 'number' || typeof sequence !== 'number') continue
    steps.push({ action, at, sequence })
  }
  const numbers = [...records, ...steps].map(({ sequence }) => sequence)
  return { record: newest(records), steps, highest: Math.max(0, ...numbers) }
}
