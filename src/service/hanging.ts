/**
 * Steps that did not come back: of this program, or of one that was killed meanwhile.
 *
 * A write that waits in the kernel outlives its program, for no signal ends it. So before anything is tried with
 * such a device, and before anything is read of it, it is looked for who is still writing: only when nobody is,
 * the step is over, however it ended. The writer shows in /proc, the device does not.
 */
import type { LiveHost } from '../isolation/live-host.ts'
import { type Action, describeAction } from '../isolation/transaction/action.ts'
import type { ClaimRecord, WedgedDevice } from './claim-record.ts'
import type { BegunStep } from './claim-store.ts'
import type { Clock } from './state-directory.ts'

/**
 * How long a write that was asked for may take to show: the process that makes it may not have begun when the
 * one that asked for it was killed. Milliseconds.
 */
const AFTERMATH = 2000

/** The devices of a claim that hang now, as far as its record tells of steps that may. */
export async function hangingDevices(
  host: LiveHost,
  clock: Clock,
  { wedged }: Pick<ClaimRecord, 'wedged'>,
  lastStep: BegunStep | null,
): Promise<readonly WedgedDevice[]> {
  const suspects = new Map(wedged.map((device) => [device.address, device]))
  const { action = null, at = 0 } = lastStep ?? {}
  if (action !== null && action.kind !== 'set-node') {
    const age = clock.now() - at
    if (age < AFTERMATH) await clock.sleep(AFTERMATH - Math.max(age, 0))
    suspects.set(action.address, suspectOf(host, action))
  }
  return stillHanging(host, [...suspects.values()])
}

/** Those for which somebody is still writing, with the evidence of now. */
export function stillHanging(
  host: LiveHost,
  devices: readonly WedgedDevice[],
): readonly WedgedDevice[] {
  return devices.flatMap((device) => {
    const evidence = host.stuckEvidence(device.address)
    return isBeingWritten(device.path, evidence) ? [{ ...device, evidence }] : []
  })
}

function suspectOf(host: LiveHost, action: Exclude<Action, { kind: 'set-node' }>): WedgedDevice {
  const path = host.writesOf(action)[0]?.path ?? ''
  return { address: action.address, step: describeAction(action), path, evidence: [] }
}

/** Links on the way to a file make its name another one; its last two parts stay. */
function isBeingWritten(path: string, evidence: readonly string[]): boolean {
  const tail = path.split('/').slice(-2).join('/')
  return evidence.some((line) => line.includes(tail))
}

/** What somebody else's unbind, or removal, does to the names of files. */
const LETTING_GO = /has been writing to \S*\/(unbind|remove)\b/

/**
 * Whether a device without a driver may be on its way out of one at this moment: then it hangs as ours would.
 * Which device an unbind is about cannot be seen, so any is taken for this one's.
 * @returns the device, or nothing
 */
export function beingUnbound(host: LiveHost, address: string): readonly WedgedDevice[] {
  const evidence = host.stuckEvidence(address)
  const line = evidence.find((one) => LETTING_GO.test(one))
  if (line === undefined) return []
  const path = /\/sys\/[^\s,]*/.exec(line)?.[0] ?? ''
  return [{ address, step: 'somebody takes it from its driver', path, evidence }]
}
