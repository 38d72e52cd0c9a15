/**
 * Limits that a guest meets when it gets a device: memory that its user may lock, and mappings that one
 * container may hold.
 */
import type { HostReadiness, HostSnapshot } from '../host.ts'
import { parameterPath } from './interrupt-findings.ts'
import { finding, type HostFinding } from './readiness.ts'

export function limitFindings(
  snapshot: HostSnapshot,
  readiness: HostReadiness,
): readonly HostFinding[] {
  return [memlockFinding(readiness), ...entryFindings(snapshot)]
}

const NEED =
  'a guest that owns a device locks all of its memory for good, so it needs its memory size and, as libvirt reckons, 1 GiB more'

const RAISE =
  'for this shell, as root: prlimit --memlock=unlimited --pid PID; for good: "USER - memlock unlimited" in /etc/security/limits.d/, or LimitMEMLOCK=infinity for a service'

/** Below this no guest of any use fits. */
const SMALLEST_GUEST = 2 ** 30

function memlockFinding({ memlock, mayLockMemory, memory, uid }: HostReadiness): HostFinding {
  const who = uid.known ? `uid ${String(uid.value)}` : 'the caller'
  if (mayLockMemory.known && mayLockMemory.value) {
    return finding('HOST-MEMLOCK', 'ok', {
      fact: `${who} may lock memory without limit`,
      evidence: ['/proc/self/status: CapEff has CAP_IPC_LOCK'],
    })
  }
  if (!memlock.known) {
    return finding('HOST-MEMLOCK', 'unknown', {
      fact: `how much memory ${who} may lock is unknown; ${NEED}`,
      evidence: [`/proc/self/limits: ${memlock.why}`],
      remedy: 'ulimit -l',
    })
  }
  if (memlock.value === null) {
    const evidence = ['/proc/self/limits: Max locked memory unlimited']
    return finding('HOST-MEMLOCK', 'ok', { fact: `${who} may lock memory without limit`, evidence })
  }
  const limit = formatBytes(memlock.value)
  const evidence = [`/proc/self/limits: Max locked memory ${String(memlock.value)} bytes`]
  if (memory.known) evidence.push(`/proc/meminfo: this host has ${formatBytes(memory.value)}`)
  if (!mayLockMemory.known) {
    return finding('HOST-MEMLOCK', 'unknown', {
      fact: `${who} may lock ${limit} unless it has CAP_IPC_LOCK, which is unknown; ${NEED}`,
      evidence: [...evidence, `/proc/self/status: ${mayLockMemory.why}`],
      remedy: RAISE,
    })
  }
  return finding('HOST-MEMLOCK', memlock.value < SMALLEST_GUEST ? 'warning' : 'info', {
    fact: `${who} may lock ${limit}; ${NEED}`,
    evidence,
    remedy: RAISE,
  })
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB']

/** "8 MiB", "15.6 GiB": one digit after the point where it does not divide. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  const number = Number.isInteger(value) ? String(value) : value.toFixed(1)
  return `${number} ${UNITS[unit] ?? ''}`
}

const LIMIT = 'vfio_iommu_type1.dma_entry_limit'
/** drivers/vfio/vfio_iommu_type1.c: U16_MAX. */
const DEFAULT_ENTRIES = 65535

function entryFindings({ vfio }: HostSnapshot): HostFinding[] {
  const value = vfio.parameters[LIMIT]
  const path = parameterPath(LIMIT)
  if (value === undefined) return [entriesNotRead(vfio.modules, path)]
  const entries = /^\d{1,10}$/.test(value) ? Number(value) : null
  if (entries === null) {
    return [
      finding('HOST-DMA-ENTRIES', 'unknown', {
        fact: 'how many mappings a container may hold is unknown',
        evidence: [`${path}: "${value}" is not a number`],
      }),
    ]
  }
  const isLow = entries < DEFAULT_ENTRIES
  return [
    finding('HOST-DMA-ENTRIES', isLow ? 'warning' : 'ok', {
      fact: `a container may hold ${String(entries)} mappings; with pages of 2 MiB mapped one by one that covers ${formatBytes(entries * 2 ** 21)}`,
      evidence: [`${path}: ${value}`],
      remedy: isLow ? `as root: echo ${String(DEFAULT_ENTRIES)} > ${path}` : '',
    }),
  ]
}

function entriesNotRead(modules: HostSnapshot['vfio']['modules'], path: string): HostFinding {
  if (modules.known && !modules.value.includes('vfio_iommu_type1')) {
    return finding('HOST-DMA-ENTRIES', 'info', {
      fact: `vfio_iommu_type1 is not loaded; its default lets a container hold ${String(DEFAULT_ENTRIES)} mappings`,
      evidence: [`${path}: not there`],
    })
  }
  return finding('HOST-DMA-ENTRIES', 'unknown', {
    fact: 'how many mappings a container may hold is unknown',
    evidence: [modules.known ? `${path}: not readable` : `/sys/module: ${modules.why}`],
  })
}
