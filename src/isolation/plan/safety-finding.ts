/** One reason to refuse a claim or to think about it, in the common form of findings. */
import type { Finding, Severity } from '../../base/finding.ts'
import { SAFETY_FINDINGS, type SafetyCode, type SafetyVerdict } from './safety-codes.ts'

/** A finding about a claim. `severity` follows from the verdict: problem, warning or unknown. */
export interface SafetyFinding extends Finding {
  readonly code: SafetyCode
  /** `unknown`: a check that could refuse was not possible, which refuses too. */
  readonly verdict: SafetyVerdict
  /** Whether `--allow CODE` may override it. */
  readonly overridable: boolean
  /** Whether the request allows it: then it refuses no longer, and is recorded with the claim. */
  readonly allowed: boolean
}

interface FindingParts {
  readonly fact: string
  readonly evidence?: readonly string[]
  readonly remedy?: string
  readonly about?: readonly string[]
}

const SEVERITY: Readonly<Record<SafetyVerdict, Severity>> = {
  refuse: 'problem',
  warn: 'warning',
  unknown: 'unknown',
}

/** Not allowed yet: `withAllowed` says what the request thinks of it. */
export function safetyFinding(
  code: SafetyCode,
  verdict: SafetyVerdict,
  parts: FindingParts,
): SafetyFinding {
  const { fact, evidence = [], remedy = SAFETY_FINDINGS[code].remedy, about = [] } = parts
  const overridable = verdict !== 'warn' && SAFETY_FINDINGS[code].overridable
  return {
    code,
    severity: SEVERITY[verdict],
    fact,
    evidence,
    remedy: [remedy === 'none' ? '' : remedy, overridable ? `or accept it: --allow ${code}` : '']
      .filter((part) => part !== '')
      .join('; '),
    about,
    verdict,
    overridable,
    allowed: false,
  }
}

/** The same findings, those allowed that the request names and that may be allowed. */
export function withAllowed(
  findings: readonly SafetyFinding[],
  allow: readonly string[],
): readonly SafetyFinding[] {
  return findings.map((finding) =>
    finding.overridable && allow.includes(finding.code) ? { ...finding, allowed: true } : finding,
  )
}

/** Whether it stands in the way. */
export function refuses({ verdict, allowed }: SafetyFinding): boolean {
  return verdict !== 'warn' && !allowed
}

/** Every check that cannot be made gives the same kind of finding. */
export function notKnown(
  code: SafetyCode,
  what: string,
  why: string,
  about: readonly string[],
): SafetyFinding {
  return safetyFinding(code, 'unknown', { fact: what, evidence: [why], about })
}
