/**
 * How much memory a process may lock, and has locked: what mappings for devices count against
 * (vfio_lock_acct, drivers/vfio/vfio_iommu_type1.c).
 */
import { type Fact, known, unknown } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readText } from '../reading.ts'

export interface Memlock {
  /** RLIMIT_MEMLOCK in bytes; null: unlimited. */
  readonly limit: number | null
  /** Bytes that count against it now. */
  readonly locked: number
  /** The process has CAP_IPC_LOCK: the limit is not for it. */
  readonly exempt: boolean
}

const CAP_IPC_LOCK = 14
const KIB = 1024

/** @param process directory of the process in /proc */
export function readMemlock(kernel: KernelView, process = '/proc/self'): Fact<Memlock> {
  const [limits, status] = ['limits', 'status'].map((name) =>
    readText(kernel, `${process}/${name}`),
  ) as [Fact<string | null>, Fact<string | null>]
  if (!limits.known) return limits
  if (!status.known) return status
  const limit = /^Max locked memory\s+(\d+|unlimited)/m.exec(limits.value ?? '')?.[1]
  const locked = /^VmLck:\s+(\d+) kB/m.exec(status.value ?? '')?.[1]
  const capabilities = /^CapEff:\s+([0-9a-f]+)/m.exec(status.value ?? '')?.[1]
  if (limit === undefined || locked === undefined || capabilities === undefined) {
    return unknown(`${process}/limits or status lacks what is wanted`)
  }
  return known({
    limit: limit === 'unlimited' ? null : Number(limit),
    locked: Number(locked) * KIB,
    exempt: ((BigInt(`0x${capabilities}`) >> BigInt(CAP_IPC_LOCK)) & 1n) === 1n,
  })
}
