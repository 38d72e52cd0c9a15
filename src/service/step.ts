/**
 * One step: written down, asked for, and looked at. What the kernel answers is not believed, since it says yes
 * to an offer that no driver took (drivers_probe gives 0 whatever came of it, drivers/base/bus.c), and no to what
 * somebody else has done meanwhile. What counts is what is so afterwards.
 *
 * A step that does not come back is another matter: the kernel still holds the lock of the device. Reading its
 * driver_override would wait for that lock and never return (driver_override_show, drivers/pci/pci-sysfs.c, in
 * most versions), and its `driver` link is gone before its driver has let go (driver_sysfs_remove is called
 * first, drivers/base/dd.c). So nothing at all is read of such a device: it is wedged.
 */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import { type Action, ActionError, describeAction } from '../isolation/transaction/action.ts'
import type { DeviceState, GroupState } from '../isolation/transaction/state.ts'
import type { StepFailure, WedgedDevice } from './claim-record.ts'

export interface Stepper {
  readonly host: LiveHost
  /** Milliseconds that a step may take. */
  readonly deadline: number
  /** Writes down what is about to be done. @throws IsogroupError: it could not */
  record(action: Action): void
}

export type StepResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: StepFailure }
  | { readonly kind: 'wedged'; readonly device: WedgedDevice }

/** @param beside addresses of devices in the group, to find its node by */
export async function takeStep(
  stepper: Stepper,
  action: Action,
  beside: readonly string[],
): Promise<StepResult> {
  const refusal = await ask(stepper, action)
  if (refusal === 'ETIMEDOUT' && action.kind !== 'set-node') {
    return { kind: 'wedged', device: wedged(stepper.host, action) }
  }
  const addresses = action.kind === 'set-node' ? beside : [action.address]
  let now: GroupState
  try {
    now = stepper.host.state(addresses)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    return failed(action, refusal ?? 'EIO', [cause.message])
  }
  if (isAchieved(action, now)) return { kind: 'done' }
  const [device] = now.devices
  if (action.kind !== 'set-node' && device?.present === false) {
    return failed(action, 'ENODEV', [`${device.address} is not there any more`])
  }
  return failed(action, refusal ?? 'UNVERIFIED', whatIsSo(action, now, refusal))
}

/** The errno of the answer; null when it was yes. */
async function ask({ host, deadline }: Stepper, action: Action): Promise<string | null> {
  try {
    await host.perform(action, deadline)
    return null
  } catch (cause) {
    if (cause instanceof ActionError) return cause.code
    throw cause
  }
}

function isAchieved(action: Action, { devices, node }: GroupState): boolean {
  const [device] = devices
  if (action.kind === 'set-node') {
    const { uid, gid, mode } = action
    return node?.uid === uid && node.gid === gid && node.mode === mode
  }
  if (device?.present !== true) return false
  switch (action.kind) {
    case 'set-override':
      return device.override === action.driver
    case 'unbind':
      return device.driver !== action.driver
    case 'probe':
      return device.driver === action.driver
    case 'offer':
      // Nobody has to take it.
      return true
    case 'set-autoprobe':
      return device.autoprobe === action.on
  }
}

function failed(action: Action, code: string, evidence: readonly string[]): StepResult {
  return { kind: 'failed', failure: { step: describeAction(action), code, evidence } }
}

/** What a person needs in order to understand a refusal. */
function whatIsSo(action: Action, now: GroupState, refusal: string | null): readonly string[] {
  const [device] = now.devices
  const answer = refusal === null ? 'the kernel said yes, but it did not happen' : ''
  const seen =
    device === undefined || action.kind === 'set-node' ? nodeText(now) : stateText(device)
  const why = action.kind === 'probe' ? ['dmesg tells why a driver refused a device'] : []
  return [answer, seen, ...why].filter((line) => line !== '')
}

function stateText({ address, driver, override }: DeviceState): string {
  const on = driver === null ? 'has no driver' : `is on ${driver}`
  return `${address} ${on}, driver_override ${override ?? 'not set'}`
}

function nodeText({ group, node }: GroupState): string {
  if (node === null) return `group ${group ?? '?'} has no node in /dev/vfio`
  const { uid, gid, mode } = node
  return `/dev/vfio/${group ?? '?'} is of ${String(uid)}:${String(gid)}, mode ${mode.toString(8)}`
}

function wedged(host: LiveHost, action: Exclude<Action, { kind: 'set-node' }>): WedgedDevice {
  return {
    address: action.address,
    step: describeAction(action),
    path: host.writesOf(action)[0]?.path ?? '',
    evidence: host.stuckEvidence(action.address),
  }
}
