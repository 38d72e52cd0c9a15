/**
 * Whoever undoes what the guard does, again and again, is not fought: another manager of devices, or a driver that
 * refuses. After so many tries within a minute a device is left alone until the minute is over.
 */
import type { Clock } from './state-directory.ts'

/** Documented in docs/operating.md. */
const TRIES_MAX = 6
/** Milliseconds. */
const WINDOW = 60_000

export interface RepairLimit {
  /** A device is taken from a driver, or offered to one. */
  note(address: string): void
  isExhausted(address: string): boolean
}

export function repairLimit(clock: Clock): RepairLimit {
  const tries = new Map<string, readonly number[]>()
  const recent = (address: string): readonly number[] => {
    const now = clock.now()
    // A clock that was set back makes nothing recent for ever.
    return (tries.get(address) ?? []).filter((at) => at <= now && now - at < WINDOW)
  }
  return {
    note: (address) => void tries.set(address, [...recent(address), clock.now()]),
    isExhausted: (address) => recent(address).length >= TRIES_MAX,
  }
}
