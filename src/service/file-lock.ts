/**
 * One writer at a time, among processes that may be killed while they hold the lock.
 *
 *     lock    {"pid":812,"started":"48213","boot":"..."}    made by link(2), which only one can do
 *
 * The holder is named by its process id and the time at which it was started, since ids are used again. A lock
 * whose holder is no more is moved away and taken; should two do this at once, the one that moved the lock of the
 * other away finds that out by its content, and puts it back.
 */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { IsogroupError } from '../base/errors.ts'

/** Milliseconds between two tries. */
const AGAIN = 50

/** Distinguishes the locks of one process. */
let taken = 0

/**
 * @param patience milliseconds
 * @param meaning of the lock being held, for the person who finds it so
 * @returns gives it back
 * @throws IsogroupError refused: somebody else holds it still; and what the file system throws
 */
export async function takeLock(
  path: string,
  patience: number,
  meaning: string,
): Promise<() => void> {
  taken += 1
  const own = holderText(taken)
  for (let waited = 0; ; waited += AGAIN) {
    if (tryLock(path, own)) return () => unlock(path, own)
    const holder = readIfThere(path)
    if (holder !== null && isStale(holder)) takeAway(path, holder)
    else if (waited >= patience) throw held(path, holder, meaning)
    else await sleep(AGAIN)
  }
}

/** A name that appears with its content: nobody finds it half written. */
function tryLock(path: string, own: string): boolean {
  const draft = `${path}.${String(process.pid)}`
  rmSync(draft, { force: true })
  writeFileSync(draft, own, { flag: 'wx', mode: 0o644 })
  try {
    linkSync(draft, path)
    return true
  } catch (cause) {
    if ((cause as { code?: string }).code === 'EEXIST') return false
    throw cause
  } finally {
    rmSync(draft, { force: true })
  }
}

function unlock(path: string, own: string): void {
  if (readIfThere(path) === own) rmSync(path, { force: true })
}

function takeAway(path: string, stale: string): void {
  const away = `${path}.${String(process.pid)}.stale`
  try {
    renameSync(path, away)
  } catch (cause) {
    if ((cause as { code?: string }).code === 'ENOENT') return
    throw cause
  }
  if (readIfThere(away) === stale) rmSync(away, { force: true })
  else giveBackLock(away, path)
}

/** It was another one's, who took it in between. */
function giveBackLock(away: string, path: string): void {
  try {
    linkSync(away, path)
  } catch (cause) {
    if ((cause as { code?: string }).code !== 'EEXIST') throw cause
  } finally {
    rmSync(away, { force: true })
  }
}

function holderText(number: number): string {
  return JSON.stringify({ pid: process.pid, started: startOf('self'), boot: bootId(), number })
}

/** What cannot be read as a holder was not written by one. */
function isStale(text: string): boolean {
  const { pid, started, boot } = parsed(text)
  if (boot !== bootId()) return true
  return typeof pid !== 'number' || startOf(String(pid)) !== started
}

function parsed(text: string): { pid?: unknown; started?: unknown; boot?: unknown } {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

/** In ticks since boot, as /proc says; null when there is no such process. */
function startOf(pid: string): string | null {
  const status = readIfThere(`/proc/${pid}/stat`)
  // The name in the second field may hold anything, so it is counted from its end (proc(5): field 22).
  return status?.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

function bootId(): string | null {
  return readIfThere('/proc/sys/kernel/random/boot_id')?.trim() ?? null
}

const GONE = new Set(['ENOENT', 'ESRCH'])

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    if (GONE.has((cause as { code?: string }).code ?? '')) return null
    throw cause
  }
}

function held(path: string, holder: string | null, meaning: string): IsogroupError {
  const pid = /"pid":(\d+)/.exec(holder ?? '')?.[1] ?? '?'
  return new IsogroupError(
    'refused',
    `${meaning} (process ${pid})`,
    `wait until it ends; it holds ${path}`,
  )
}
