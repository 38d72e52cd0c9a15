/**
 * A finding: something a person should know, with a stable code, the fact, the evidence it rests on,
 * and what to do about it. One vocabulary for warnings, doctor, refusals and events.
 */
export type Severity = 'ok' | 'info' | 'warning' | 'problem' | 'unknown'

export interface Finding {
  /** Stable: "GRP-OVERRIDE", "HOST-NO-IOMMU"; all of them in docs/reference/findings.md. */
  readonly code: string
  readonly severity: Severity
  /** One sentence: what is so, naming the devices. */
  readonly fact: string
  /** Paths, register bits or text that show it. */
  readonly evidence: readonly string[]
  /** What to do; empty when nothing needs doing. */
  readonly remedy: string
  /** Addresses or group ids it is about. */
  readonly about: readonly string[]
}
