/**
 * The reasons that `explain` must give on the golden slots: which rule joins the devices, and which
 * device decides. Asked outside the guest, of the capture taken inside.
 */
import { runProcess } from '../process.ts'
import { readExplanation, readUndecided } from './answers.ts'
import type { LabFinding } from './case.ts'

/** Device asked about: the joins that must be in the chain, "code decider". */
const expectedReasons: Readonly<Record<string, readonly string[]>> = {
  '0000:01:00.0': [],
  '0000:02:00.0': ['no-acs-above 0000:00:02.0'],
  '0000:05:00.0': ['no-acs-above 0000:04:00.0'],
  '0000:06:00.0': ['no-acs-above 0000:04:01.0'],
  '0000:08:02.0': ['bridge-alias 0000:07:00.0'],
  '0000:09:00.1': ['multifunction 0000:09:00.1'],
  '0000:0c:00.0': ['multifunction 0000:00:07.1', 'no-acs-above 0000:00:07.1'],
}

/** @param entry the program; @param capture a capture of a guest with the golden slots */
export async function checkReasons(entry: string, capture: string): Promise<readonly LabFinding[]> {
  const findings: LabFinding[] = []
  for (const [device, reasons] of Object.entries(expectedReasons)) {
    const words = [entry, '--host', `file:${capture}`, 'explain', device, '--json']
    const { stdout } = await runProcess(process.execPath, words, { deadlineMs: 60_000 })
    const found = readExplanation(stdout.toString('utf8'))
    const missing = reasons.filter((reason) => !found.includes(reason))
    const surplus = reasons.length === 0 ? found : []
    if (missing.length === 0 && surplus.length === 0) continue
    const detail = `wanted ${reasons.join(', ') || 'none'}; found ${found.join(', ') || 'none'}`
    findings.push({ check: `explain ${device}`, detail })
  }
  return findings
}

/** What an ordinary user is told may be vague, but must not contradict the kernel. */
export function checkVague(printed: string): readonly LabFinding[] {
  const decided = readUndecided(printed)
  if (decided.length === 0) return []
  return [{ check: 'predict as user differs only where it says so', detail: decided.join('\n') }]
}
