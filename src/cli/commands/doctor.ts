/** `doctor`: is this host ready to hand devices to users? Each finding with evidence and remedy. */
import { doctor } from '../../isolation/assess/doctor.ts'
import type { DoctorReport } from '../../isolation/assess/readiness.ts'
import type { Invocation } from '../invocation.ts'
import { printJson } from '../print-json.ts'
import { hanging, type Screen, type Style } from '../screen.ts'
import { findingLines } from '../text/finding-text.ts'

export async function run(invocation: Invocation): Promise<void> {
  const { out, json, kernel } = invocation
  const host = await invocation.open(invocation.source)
  const snapshot = host.snapshot()
  const report = doctor(snapshot, host.readiness(), { kernel })
  if (json) {
    printJson(out, 'DoctorReport', { host: snapshot.source, ...report })
    return
  }
  out.print([
    ...report.findings.flatMap((finding) => findingLines(finding, out)),
    '',
    ...verdictLines(report, snapshot.source, out),
  ])
}

const VERDICT: Readonly<Record<DoctorReport['verdict'], readonly [Style, string]>> = {
  ready: ['green', 'is ready to hand devices to users'],
  'ready-with-warnings': ['yellow', 'is ready to hand devices to users, with the warnings above'],
  'not-ready': ['red', 'is not ready to hand devices to users: see the problems above'],
  unknown: ['yellow', 'may or may not be ready: what decides could not be read'],
}

function verdictLines(
  { verdict }: DoctorReport,
  source: string,
  screen: Screen,
): readonly string[] {
  const [style, words] = VERDICT[verdict]
  return hanging('', `${source} ${words}`, screen.width).map((line) => screen.paint(style, line))
}
