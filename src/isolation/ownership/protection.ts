/**
 * How well a claimed group is kept whole at this moment.
 *
 *     sealed    a user owns it: the kernel refuses every driver of its own, also to devices plugged in
 *     watched   nobody has it open: a driver that comes is noticed and sent away by the guard, not prevented
 *     broken    a member is not where the claim put it, or a driver of the kernel has one
 */
import type { Fact } from '../../base/fact.ts'
import type { Program } from '../live-host.ts'
import { ownershipOf } from './ownership.ts'

export type Protection = 'sealed' | 'watched' | 'broken'

const ORDER: readonly Protection[] = ['sealed', 'watched', 'broken']

export interface ProtectedGroup {
  /** Of all members now, bridges too. */
  readonly drivers: readonly Fact<string | null>[]
  /** Whether every device that the claim holds is on its driver. */
  readonly whole: boolean
  /** Unknown users protect nothing. */
  readonly users: Fact<readonly Program[]>
}

export function protectionOf({ drivers, whole, users }: ProtectedGroup): Protection {
  const inUse = users.known && users.value.length > 0
  if (!whole || ownershipOf(drivers, false) === 'kernel') return 'broken'
  return inUse ? 'sealed' : 'watched'
}

/** What holds for several groups together; nothing protects what is not there. */
export function weakest(all: readonly Protection[]): Protection {
  if (all.length === 0) return 'broken'
  return ORDER[Math.max(...all.map((one) => ORDER.indexOf(one)))] ?? 'broken'
}
