/**
 * Is this host ready to hand devices to users? `doctor` answers with findings.
 */
import type { Finding } from '../../base/finding.ts'

export interface DoctorReport {
  readonly verdict: 'ready' | 'ready-with-warnings' | 'not-ready' | 'unknown'
  /** In the order in which a person would check: firmware, kernel, IOMMU, interrupts, VFIO, limits, groups. */
  readonly findings: readonly Finding[]
}
