/** Findings as text: severity and code, the fact, the evidence, the remedy. */
import type { Finding, Severity } from '../../base/finding.ts'
import { type Screen, type Style, hanging } from '../screen.ts'

const STYLE_OF: Readonly<Record<Severity, Style>> = {
  ok: 'green',
  info: 'dim',
  warning: 'yellow',
  problem: 'red',
  unknown: 'yellow',
}

/** "ok" and the other words, all of one width. */
const SEVERITY_WIDTH = 'problem'.length

export function findingLines(finding: Finding, screen: Screen): readonly string[] {
  const { severity, code, fact, evidence, remedy } = finding
  const indent = ' '.repeat(SEVERITY_WIDTH + 2)
  const label = severity.padEnd(SEVERITY_WIDTH)
  const lines = hanging(`${label}  `, fact, screen.width).map((line, index) =>
    index === 0 ? screen.paint(STYLE_OF[severity], label) + line.slice(label.length) : line,
  )
  const more: string[] = [...lines]
  for (const line of evidence) {
    more.push(...hanging(indent, line, screen.width).map((text) => screen.paint('dim', text)))
  }
  if (remedy !== '') more.push(...hanging(`${indent}do: `, remedy, screen.width))
  more.push(screen.paint('dim', `${indent}${code}`))
  return more
}
