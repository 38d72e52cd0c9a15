/**
 * How much memory a user may lock. Limits are a program's, set at login or by its service (setrlimit(2)), not a
 * user's; so the programs that run now are looked at, and the most that one of them may is given.
 */
import { type Fact, known, unknown } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readList, readText } from '../reading.ts'

/** @returns bytes, null = unlimited; unknown when the user runs nothing that may be looked at */
export function readMemlockOf(kernel: KernelView, uid: number): Fact<number | null> {
  const entries = readList(kernel, '/proc')
  if (!entries.known) return entries
  let most: number | null = null
  let denied: string | null = null
  for (const pid of entries.value ?? []) {
    if (!/^(?:\d+|self)$/.test(pid) || !runsAs(kernel, pid, uid)) continue
    const limits = readText(kernel, `/proc/${pid}/limits`)
    if (!limits.known) {
      denied ??= limits.why
      continue
    }
    const soft = /^Max locked memory\s+(\S+)/m.exec(limits.value ?? '')?.[1]
    if (soft === 'unlimited') return known(null)
    if (soft !== undefined && /^\d+$/.test(soft)) most = Math.max(most ?? 0, Number(soft))
  }
  if (most !== null) return known(most)
  return unknown(denied ?? `no program of user ${String(uid)} runs that could tell`)
}

function runsAs(kernel: KernelView, pid: string, uid: number): boolean {
  const status = readText(kernel, `/proc/${pid}/status`)
  const text = status.known ? (status.value ?? '') : ''
  return new RegExp(`^Uid:\\s+${String(uid)}\\s`, 'm').test(text)
}
