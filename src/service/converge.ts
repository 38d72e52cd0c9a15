/**
 * From where groups are to where they should be, and back.
 *
 * Both directions ask the same function what is to be done (isolation/transaction/steps.ts) and look again when it
 * is done, since others change the host too. They differ in what a refusal means: forward it ends the way, for
 * all or nothing is wanted; back it is the end for that one device, and all others still go home.
 */
import { IsogroupError } from '../base/errors.ts'
import { type Action, describeAction } from '../isolation/transaction/action.ts'
import type { DeviceState, GroupState } from '../isolation/transaction/state.ts'
import { stepsTo } from '../isolation/transaction/steps.ts'
import { missing, unmet } from '../isolation/transaction/unmet.ts'
import type { StepFailure, WedgedDevice } from './claim-record.ts'
import { errnoOf } from './errno-of.ts'
import { type Stepper, takeStep } from './step.ts'

/** Somebody else may change things while we do; whoever does it again and again is not fought. */
const ROUNDS_MAX = 3

/** What stopped the way forward. */
export interface Stop {
  readonly failure: StepFailure
  /** The device that does not come back, if that was it. */
  readonly wedged: WedgedDevice | null
}

/** @returns null: every target is reached, and was looked at */
export async function goForward(
  stepper: Stepper,
  targets: readonly GroupState[],
): Promise<Stop | null> {
  try {
    return await reach(stepper, targets)
  } catch (cause) {
    if (!(cause instanceof IsogroupError)) throw cause
    return stopped('look at the devices', errnoOf(cause), [cause.message])
  }
}

async function reach(stepper: Stepper, targets: readonly GroupState[]): Promise<Stop | null> {
  for (let round = 1; ; round++) {
    for (const target of targets) {
      const stop = await approach(stepper, target)
      if (stop !== null) return stop
    }
    const open = targets.flatMap((target) => openPoints(stepper, target))
    if (open.length === 0) return null
    if (round === ROUNDS_MAX) return stopped('verify the claim', 'UNVERIFIED', open)
  }
}

async function approach(stepper: Stepper, target: GroupState): Promise<Stop | null> {
  const addresses = addressesOf(target)
  for (const action of stepsTo(target, stepper.host.state(addresses))) {
    try {
      stepper.record(action)
    } catch (cause) {
      if (!(cause instanceof IsogroupError)) throw cause
      return stopped(`record: ${describeAction(action)}`, errnoOf(cause), [cause.message])
    }
    const result = await takeStep(stepper, action, addresses)
    if (result.kind === 'failed') return { failure: result.failure, wedged: null }
    if (result.kind === 'wedged') {
      return { failure: wedgedFailure(result.device), wedged: result.device }
    }
  }
  return null
}

function openPoints({ host }: Stepper, target: GroupState): readonly string[] {
  const now = host.state(addressesOf(target))
  const gone = missing(target, now).map((address) => `${address} is not there any more`)
  return [...gone, ...unmet(target, now)]
}

function stopped(step: string, code: string, evidence: readonly string[]): Stop {
  return { failure: { step, code, evidence }, wedged: null }
}

export interface WayBack {
  /** What is not as it was, in words; empty: everything that is still there is. */
  readonly left: readonly string[]
  /** The first thing that kept something from going back; null exactly when nothing is left. */
  readonly failure: StepFailure | null
  /** All devices that hang, those of before included. */
  readonly wedged: readonly WedgedDevice[]
}

/**
 * Devices that are gone have nothing to go back to and are passed over.
 * @param wedged devices that are not to be touched, nor even read
 * @param skipped addresses that are somebody else's now
 */
export async function goBack(
  stepper: Stepper,
  targets: readonly GroupState[],
  wedged: readonly WedgedDevice[],
  skipped: readonly string[],
): Promise<WayBack> {
  const retreat = new Retreat(stepper, wedged, skipped)
  const last = targets.toReversed()
  for (let round = 1; round <= ROUNDS_MAX; round++) {
    retreat.beginRound()
    for (const target of last) await retreat.approach(target)
    if (last.every((target) => retreat.openPoints(target).length === 0)) break
  }
  return retreat.result(last)
}

/** Goes on whatever happens, and remembers what did. */
class Retreat {
  readonly #stepper: Stepper
  readonly #wedged: WedgedDevice[]
  readonly #skipped: ReadonlySet<string>
  readonly #failures: StepFailure[] = []
  /** Devices that refused something in this round. */
  readonly #refused = new Set<string>()

  constructor(stepper: Stepper, wedged: readonly WedgedDevice[], skipped: readonly string[]) {
    this.#stepper = stepper
    this.#wedged = [...wedged]
    this.#skipped = new Set(skipped)
  }

  beginRound(): void {
    this.#refused.clear()
  }

  async approach(target: GroupState): Promise<void> {
    const goal = this.#goalOf(target)
    const now = this.#read(goal)
    if (now === null) return
    for (const action of stepsTo(goal, now)) {
      if (this.#isPointless(action)) continue
      try {
        this.#stepper.record(action)
      } catch (cause) {
        // Without a record a crash is found by its facts alone, which is no reason to leave a device behind.
        if (!(cause instanceof IsogroupError)) throw cause
      }
      const result = await takeStep(this.#stepper, action, addressesOf(this.#goalOf(target)))
      if (result.kind === 'done') continue
      if (action.kind !== 'set-node') this.#refused.add(action.address)
      if (result.kind === 'failed') this.#failures.push(result.failure)
      else this.#wedged.push(result.device)
    }
  }

  /** What is not as it was, of one group. */
  openPoints(target: GroupState): readonly string[] {
    const goal = this.#goalOf(target)
    const now = this.#read(goal)
    if (now === null) return [`the state of ${addressesOf(goal).join(', ')} cannot be read`]
    return unmet(goal, now)
  }

  result(targets: readonly GroupState[]): WayBack {
    const left = targets.flatMap((target) => this.openPoints(target))
    const homeless = targets.flatMap((target) => this.#homeless(target))
    const reasons = [
      ...this.#wedged.map(wedgedFailure),
      // What was refused and went well in a later round is no reason.
      ...(left.length === 0 ? [] : this.#failures),
      ...homeless.map(driverGone),
    ]
    const lines = [
      ...this.#wedged.map(({ address, step }) => `${address} hangs: ${step} did not come back`),
      ...left,
      ...homeless.map(({ address, driver }) => `${address} has no driver: ${driver} is not loaded`),
    ]
    const failure = reasons[0] ?? {
      step: 'verify the way back',
      code: 'UNVERIFIED',
      evidence: left,
    }
    return { left: lines, failure: lines.length === 0 ? null : failure, wedged: this.#wedged }
  }

  /** A device that refused to be aimed or let go is not pushed on; its override is put back all the same. */
  #isPointless(action: Action): boolean {
    if (action.kind === 'set-node') return false
    const { address, kind } = action
    if (this.#wedged.some((device) => device.address === address)) return true
    return this.#refused.has(address) && (kind === 'unbind' || kind === 'probe')
  }

  /** Where the devices that can be moved should go. Whose driver is not there goes nowhere. */
  #goalOf(target: GroupState): GroupState {
    const hung = new Set(this.#wedged.map(({ address }) => address))
    const devices = target.devices
      .filter(({ address }) => !hung.has(address) && !this.#skipped.has(address))
      .map((device) => (this.#hasHome(device) ? device : { ...device, driver: null }))
    return { ...target, devices }
  }

  #hasHome({ driver }: DeviceState): boolean {
    return driver === null || this.#stepper.host.hasDriver(driver)
  }

  #homeless(target: GroupState): readonly Homeless[] {
    const there = new Set(
      this.#read(this.#goalOf(target))?.devices.flatMap((now) => (now.present ? now.address : [])),
    )
    return target.devices.flatMap((device) => {
      const { address, driver } = device
      return driver === null || this.#hasHome(device) || !there.has(address)
        ? []
        : [{ address, driver }]
    })
  }

  #read(goal: GroupState): GroupState | null {
    const addresses = addressesOf(goal)
    if (addresses.length === 0) return { group: null, devices: [], node: goal.node }
    try {
      return this.#stepper.host.state(addresses)
    } catch (cause) {
      if (!(cause instanceof IsogroupError)) throw cause
      const step = `look at ${addresses.join(', ')}`
      this.#failures.push({ step, code: errnoOf(cause), evidence: [cause.message] })
      return null
    }
  }
}

interface Homeless {
  readonly address: string
  readonly driver: string
}

function driverGone({ address, driver }: Homeless): StepFailure {
  return {
    step: `offer ${address} to ${driver}`,
    code: 'ENOENT',
    evidence: [`${driver} is not loaded: modprobe ${driver}, then isogroup recover`],
  }
}

function wedgedFailure({ step, evidence }: WedgedDevice): StepFailure {
  return { step, code: 'ETIMEDOUT', evidence }
}

function addressesOf({ devices }: GroupState): readonly string[] {
  return devices.map(({ address }) => address)
}
