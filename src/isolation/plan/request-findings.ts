/** What is wrong with the request itself, whatever group it names: driver, allowances, limits of the owner. */
import type { Fact } from '../../base/fact.ts'
import { driverRole } from '../assess/driver-roles.ts'
import type { HostReadiness } from '../host.ts'
import type { ClaimRequest } from './request.ts'
import { SAFETY_FINDINGS, safetyCode } from './safety-codes.ts'
import { type SafetyFinding, safetyFinding } from './safety-finding.ts'

const OTHER_BUSES: ReadonlySet<string> = new Set([
  ...['vfio-platform', 'vfio-amba', 'vfio-fsl-mc', 'vfio-cdx'],
])

/** @param available whether the driver can be loaded, where that is known */
export function driverFindings(
  driver: string,
  loaded: boolean,
  available: Fact<boolean>,
): readonly SafetyFinding[] {
  const role = driverRole(driver)
  if (OTHER_BUSES.has(driver)) {
    const fact = `${driver} serves no PCI functions`
    return [safetyFinding('CLAIM-NOT-VFIO', 'refuse', { fact })]
  }
  if (role === 'kernel' || role === 'harmless') {
    const fact = `${driver} gives devices to no user: it is no VFIO driver`
    return [safetyFinding('CLAIM-NOT-VFIO', 'refuse', { fact })]
  }
  if (role === 'unknown') {
    const fact = `whether ${driver} gives devices to users is unknown: isogroup does not know this driver`
    return [safetyFinding('CLAIM-NOT-VFIO', 'unknown', { fact })]
  }
  if (loaded) return []
  const place = `/sys/bus/pci/drivers/${driver}: not there`
  if (available.known && !available.value) {
    return [
      safetyFinding('CLAIM-DRIVER', 'refuse', {
        fact: `this kernel has no driver ${driver}`,
        evidence: [place, '/lib/modules: no module of that name'],
        remedy: 'a kernel built with CONFIG_VFIO_PCI, or the package with its extra modules',
      }),
    ]
  }
  // Loading is tried before anything is changed, so here the unknown answers itself.
  const why = available.known ? [] : [available.why]
  return [
    safetyFinding('CLAIM-DRIVER', 'warn', {
      fact: `the driver ${driver} is not loaded; its module will be loaded first${available.known ? '' : ', if there is one'}`,
      evidence: [place, ...why],
      remedy: `modprobe ${driver}`,
    }),
  ]
}

/** @param met codes of the findings of the plan that can never be allowed, and refuse anyway */
export function allowFindings(
  allow: readonly string[],
  met: ReadonlySet<string>,
): readonly SafetyFinding[] {
  return [...new Set(allow)].flatMap((text) => {
    const code = safetyCode(text)
    if (code === null) {
      const fact = `--allow ${shortened(text)}: there is no such code`
      return [safetyFinding('CLAIM-ALLOW', 'refuse', { fact })]
    }
    if (SAFETY_FINDINGS[code].overridable) return []
    const fact = `--allow ${code}: this can never be allowed`
    return [safetyFinding('CLAIM-ALLOW', met.has(code) ? 'refuse' : 'warn', { fact })]
  })
}

const TEXT_MAX = 60

/** What was typed may be anything, of any length. */
function shortened(text: string): string {
  return JSON.stringify(text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}...` : text)
}

/** Less than any guest that is worth a device: below this the first mapping fails. */
const LITTLE_MEMORY = 1024 ** 3

/**
 * VFIO locks all memory that a device may reach, against RLIMIT_MEMLOCK of who maps it. Too little of it harms
 * nobody but the guest, which will not start: never more than a warning.
 *
 * @param limit of programs of the owner, in bytes; null = unlimited
 */
export function memlockFindings(
  { owner }: ClaimRequest,
  readiness: HostReadiness,
  limit: Fact<number | null>,
): readonly SafetyFinding[] {
  if (owner === null || owner.uid === 0) return []
  const isCaller = readiness.uid.known && readiness.uid.value === owner.uid
  if (isCaller && readiness.mayLockMemory.known && readiness.mayLockMemory.value) return []
  const raise = `in /etc/security/limits.d/isogroup.conf: ${owner.name} - memlock unlimited (LimitMEMLOCK= for a service), then log in again`
  if (!limit.known) {
    return [
      safetyFinding('CLAIM-MEMLOCK', 'warn', {
        fact: `how much memory ${owner.name} may lock is unknown; a guest locks all of its memory`,
        evidence: [limit.why],
        remedy: `as ${owner.name}: ulimit -l; when it is too little, ${raise}`,
      }),
    ]
  }
  if (limit.value === null || limit.value >= LITTLE_MEMORY) return []
  return [
    safetyFinding('CLAIM-MEMLOCK', 'warn', {
      fact: `${owner.name} may lock ${String(Math.floor(limit.value / 1024))} KiB; a guest locks all of its memory`,
      evidence: [`RLIMIT_MEMLOCK of running programs of user ${String(owner.uid)}`],
      remedy: raise,
    }),
  ]
}
