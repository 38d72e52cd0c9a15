/**
 * One isolation guarantee of a group: does it hold, and what says so.
 *
 * Three answers, never two: "unknown" means that a fact could not be read. Whoever decides counts it as
 * "no"; whoever shows it shows it as unknown.
 */
export type Verdict = 'yes' | 'no' | 'unknown'

export interface Guarantee {
  readonly verdict: Verdict
  /** One sentence or a register: what the verdict rests on. Never empty. */
  readonly evidence: string
}

export function yes(evidence: string): Guarantee {
  return { verdict: 'yes', evidence }
}

export function no(evidence: string): Guarantee {
  return { verdict: 'no', evidence }
}

export function undecided(evidence: string): Guarantee {
  return { verdict: 'unknown', evidence }
}

/** The weaker of two: "no" before "unknown" before "yes"; among equals the first one. */
export function weaker(first: Guarantee, second: Guarantee): Guarantee {
  if (first.verdict === 'no' || second.verdict === 'yes') return first
  return second.verdict === 'no' || first.verdict === 'yes' ? second : first
}
