/**
 * The conversation of the standing cases: everything the program can tell about a host without
 * changing it, as root and as an ordinary user, against the kernel's own truth; then the same
 * commands outside the guest, on the capture taken inside.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  actualScript,
  type ActualDevice,
  createVirtualFunctionsScript,
  loadDriversScript,
  parseActual,
} from '../actual.ts'
import type { StepResult } from '../guest.ts'
import { runProcess } from '../process.ts'
import { readKind } from './answers.ts'
import type { CaseWorld, LabFinding } from './case.ts'
import { checkEnd, checkGroupIds, checkPrediction, checkSame } from './checks.ts'
import { checkReasons, checkVague } from './reasons.ts'

const capturePath = '/tmp/c.isocap'

/** Drivers loaded, virtual functions made: the host as it would be in use. Returns its truth. */
export async function settleHost(world: CaseWorld): Promise<readonly ActualDevice[]> {
  await world.guest.run({ run: loadDriversScript })
  const made = await world.guest.run({ run: createVirtualFunctionsScript })
  if (made.code !== 0) throw new Error(`cannot create virtual functions: ${made.stderr}`)
  const actual = await world.guest.run({ run: actualScript })
  world.keepEvidence('actual.txt', actual.stdout)
  return parseActual(actual.stdout.toString('utf8'))
}

export type Inspection = {
  readonly findings: readonly LabFinding[]
  /** What `predict --json` printed for root. */
  readonly predicted: string
}

/**
 * Runs every inspecting command and compares.
 * @param hasGoldenSlots the machine has the golden slots: their reasons are checked too
 */
export async function inspectHost(
  world: CaseWorld,
  devices: readonly ActualDevice[],
  hasGoldenSlots: boolean,
): Promise<Inspection> {
  const { guest } = world
  const predicted = await guest.run({ run: 'isogroup predict --json' })
  const listed = await guest.run({ run: 'isogroup ls --json' })
  const examined = await guest.run({ run: 'isogroup doctor --json' })
  const captured = await guest.run({
    run: `isogroup capture ${capturePath}`,
    fetch: [capturePath],
  })
  world.keepEvidence('predict.json', predicted.stdout)
  world.keepEvidence('ls.json', listed.stdout)
  world.keepEvidence('doctor.json', examined.stdout)
  const findings = [
    ...checkEnd('predict --json', predicted),
    ...checkEnd('ls --json', listed),
    // A host that is not ready is a refusal to say yes, not an error.
    ...checkEnd('doctor --json', examined, [0, 3]),
    ...checkEnd('capture', captured),
    ...attempt('predict --json', () => checkPrediction(devices, text(predicted))),
    ...attempt('ls --json', () => checkGroupIds(devices, text(listed))),
    ...attempt('doctor --json', () => {
      readKind(text(examined))
      return []
    }),
    ...(await inspectAsUser(world)),
    ...(await replayCapture(
      world,
      captured,
      { predict: predicted, ls: listed, doctor: examined },
      hasGoldenSlots,
    )),
  ]
  return { findings, predicted: text(predicted) }
}

async function inspectAsUser(world: CaseWorld): Promise<readonly LabFinding[]> {
  const predicted = await world.guest.run({ run: 'isogroup predict --json', as: 'user' })
  const listed = await world.guest.run({ run: 'isogroup ls', as: 'user' })
  world.keepEvidence('user-predict.json', predicted.stdout)
  world.keepEvidence('user-ls.txt', listed.stdout)
  return [
    ...checkEnd('predict --json as user', predicted),
    ...checkEnd('ls as user', listed),
    ...attempt('predict --json as user', () => checkVague(text(predicted))),
  ]
}

/** Outside the guest, on the capture, the program must say to the byte what it said inside. */
async function replayCapture(
  world: CaseWorld,
  captured: StepResult,
  inside: Readonly<Record<string, StepResult>>,
  hasGoldenSlots: boolean,
): Promise<readonly LabFinding[]> {
  const content = captured.files.get(capturePath)
  if (content === undefined) {
    return [{ check: 'capture', detail: `exit code ${captured.code}, but no ${capturePath}` }]
  }
  const path = join(world.scratch, 'c.isocap')
  await writeFile(path, content)
  world.keepEvidence('c.isocap', content)
  const entry = join(world.program.projectRoot, world.program.entry)
  const findings: LabFinding[] = []
  for (const [command, expected] of Object.entries(inside)) {
    const words = [entry, '--host', `file:${path}`, command, '--json']
    const replayed = await runProcess(process.execPath, words, { deadlineMs: 180_000 })
    findings.push(
      ...checkEnd(`${command} --json on the capture`, replayed, [expected.code]),
      ...checkSame(`${command} --json on the capture`, expected.stdout, replayed.stdout),
    )
  }
  if (hasGoldenSlots) findings.push(...(await checkReasons(entry, path)))
  return findings
}

/** A check that cannot read what it got has found something. */
export function attempt(check: string, run: () => readonly LabFinding[]): readonly LabFinding[] {
  try {
    return run()
  } catch (error) {
    return [{ check, detail: error instanceof Error ? error.message : String(error) }]
  }
}

export function text(result: StepResult): string {
  return result.stdout.toString('utf8')
}
