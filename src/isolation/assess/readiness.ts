/**
 * What `doctor` answers, and how single findings add up to a verdict.
 *
 *     a problem                                         -> not-ready
 *     something unreadable that could hide a problem    -> unknown
 *     warnings, or other things that could not be read  -> ready-with-warnings
 *     else                                              -> ready
 */
import type { Finding, Severity } from '../../base/finding.ts'
import type { KernelVersion } from '../../base/kernel-version.ts'
import { FINDINGS, type FindingCode } from '../findings.ts'

export interface DoctorReport {
  readonly verdict: 'ready' | 'ready-with-warnings' | 'not-ready' | 'unknown'
  /** In the order in which a person would check: firmware, kernel, IOMMU, interrupts, VFIO, limits, groups. */
  readonly findings: readonly Finding[]
}

export interface DoctorOptions {
  /** Version whose rules apply; null to take the host's own. */
  readonly kernel: KernelVersion | null
}

/** A finding whose code is in the catalogue. */
export interface HostFinding extends Finding {
  readonly code: FindingCode
}

interface FindingParts {
  readonly fact: string
  readonly evidence?: readonly string[]
  readonly remedy?: string
  readonly about?: readonly string[]
}

export function finding(code: FindingCode, severity: Severity, parts: FindingParts): HostFinding {
  const { fact, evidence = [], remedy = '', about = [] } = parts
  return { code, severity, fact, evidence, remedy, about }
}

export function verdictOf(findings: readonly HostFinding[]): DoctorReport['verdict'] {
  let verdict: DoctorReport['verdict'] = 'ready'
  for (const { code, severity } of findings) {
    if (severity === 'problem') return 'not-ready'
    if (severity === 'unknown' && FINDINGS[code].severities.includes('problem')) verdict = 'unknown'
    const minor = severity === 'warning' || severity === 'unknown'
    if (minor && verdict === 'ready') verdict = 'ready-with-warnings'
  }
  return verdict
}

const LISTED_MAX = 6

/** "a, b, c and 12 more" */
export function listed(items: readonly string[]): string {
  const shown = items.slice(0, LISTED_MAX).join(', ')
  const more = items.length - LISTED_MAX
  return more > 0 ? `${shown} and ${String(more)} more` : shown
}
