/**
 * One look at a claimed group, and what is needed to have it whole again. Under the lock.
 *
 *     newcomers without a driver: aimed at once      what is won here is won by microseconds, and an aim by itself
 *                                                    harms nobody; after a crash it is found by its own trace
 *     all newcomers: written into the record         from here on a release gives them back as well
 *     steps to the target, each recorded, verified   whoever strayed, and newcomers that a driver was faster for
 *
 * Drivers are taken from links. Of a device that is off its driver while somebody writes to an unbind nothing
 * more is read: that read would wait as long as the write does.
 */
import { IsogroupError } from '../base/errors.ts'
import type { DeviceIdentity, LiveHost, Programs } from '../isolation/live-host.ts'
import type { Protection } from '../isolation/ownership/protection.ts'
import { type Action, describeAction } from '../isolation/transaction/action.ts'
import type { GroupState } from '../isolation/transaction/state.ts'
import { stepsTo } from '../isolation/transaction/steps.ts'
import { unmet } from '../isolation/transaction/unmet.ts'
import type { ClaimedGroup, ClaimRecord, WedgedDevice } from './claim-record.ts'
import type { GroupEvent } from './guard-event.ts'
import { hangingDevices, beingUnbound } from './hanging.ts'
import { grownBy, lookForNewcomers } from './newcomers.ts'
import type { Parts } from './parts.ts'
import { protectionNow } from './protection-now.ts'
import type { RepairLimit } from './repair-limit.ts'
import { takeStep } from './step.ts'
import { stepperOf } from './stepper-of.ts'

/** Of one group of one claim, all through a look. */
export interface KeptParts extends Parts {
  readonly limit: RepairLimit
  readonly say: (event: GroupEvent) => void
  /** From one look for all groups. */
  readonly programs: Programs
}

export interface GroupLook {
  /** As it is recorded now. */
  readonly record: ClaimRecord
  /** Id of the group now; null: its devices are gone. */
  readonly group: string | null
  readonly protection: Protection
  /** Why it is not whole, a line each; empty: it is. */
  readonly left: readonly string[]
}

/** @param at which group of the claim @throws IsogroupError permission, io: it could not be looked at */
export async function keepGroup(
  parts: KeptParts,
  record: ClaimRecord,
  at: number,
): Promise<GroupLook> {
  const grown = await takeNewcomers(parts, record, at)
  const { record: after, left } = await repair(parts, grown, at)
  const { host, programs } = parts
  const groups = host.groupsOf(addressesOf(groupAt(after, at)))
  const [first] = groups
  if (first === undefined) {
    const gone = 'none of its devices is on the host'
    return { record: after, group: null, protection: 'broken', left: [gone] }
  }
  const protection = protectionNow(groups, programs, left.length === 0)
  return { record: after, group: first.group, protection, left }
}

function groupAt({ groups, id }: ClaimRecord, at: number): ClaimedGroup {
  const group = groups[at]
  if (group === undefined) throw new Error(`claim ${id} has no group ${String(at)}`)
  return group
}

function addressesOf({ target }: ClaimedGroup): readonly string[] {
  return target.devices.map(({ address }) => address)
}

function withGroup(record: ClaimRecord, at: number, group: ClaimedGroup): ClaimRecord {
  return { ...record, groups: record.groups.map((one, n) => (n === at ? group : one)) }
}

async function takeNewcomers(
  parts: KeptParts,
  record: ClaimRecord,
  at: number,
): Promise<ClaimRecord> {
  const { host, store, say } = parts
  const group = groupAt(record, at)
  const present = lookForNewcomers(parts, group)
  for (const { identity, driver } of present.newcomers) {
    if (driver === null) await aim(parts, record, identity)
  }
  if (present.newcomers.length === 0) {
    return present.kept === group ? record : store.save(withGroup(record, at, present.kept))
  }
  const addresses = present.newcomers.map(({ identity }) => identity.address)
  const { devices } = host.state(addresses)
  const grown = grownBy(parts, present, record.driver, devices)
  const saved = store.save(withGroup(record, at, grown))
  for (const { identity } of present.newcomers) {
    const { address, ids } = identity
    const state = devices.find((device) => device.address === address)
    if (state?.present === true) say({ kind: 'newcomer', address, ids, driver: state.driver })
  }
  return saved
}

/** Not written down first: no driver must be faster. Whether it went well is seen by the state that is read next. */
async function aim(
  parts: KeptParts,
  { id, driver }: ClaimRecord,
  { address }: DeviceIdentity,
): Promise<void> {
  const action = { kind: 'set-override', address, driver } as const
  const { kind } = await takeStep(stepperOf(parts, id), action, [address])
  if (kind === 'done') parts.say({ kind: 'repair', step: describeAction(action) })
}

interface Repaired {
  readonly record: ClaimRecord
  readonly left: readonly string[]
}

async function repair(parts: KeptParts, record: ClaimRecord, at: number): Promise<Repaired> {
  const { host, limit } = parts
  const group = groupAt(record, at)
  const hung = await hangingNow(parts, record, group)
  const tired = addressesOf(group).filter((address) => limit.isExhausted(address))
  const left = [
    ...hung.map(({ address, step }) => `${address} hangs: ${step}`),
    ...tired.map((address) => `${address} does not stay where it is put: left alone for a while`),
  ]
  const untouched = new Set([...hung.map(({ address }) => address), ...tired])
  const devices = group.target.devices.filter(({ address }) => !untouched.has(address))
  if (devices.length === 0) return { record, left }
  let wedged = hung
  for (const target of byGroup(host, { ...group.target, devices })) {
    const addresses = target.devices.map(({ address }) => address)
    for (const action of stepsTo(target, host.state(addresses))) {
      if (isOf(action, wedged)) continue
      const taken = await take(parts, record, action, addresses)
      left.push(...taken.left)
      if (taken.wedged !== null) wedged = [...wedged, taken.wedged]
    }
  }
  const hanging = new Set(wedged.map(({ address }) => address))
  const rest = devices.filter(({ address }) => !hanging.has(address))
  for (const target of byGroup(host, { ...group.target, devices: rest })) {
    left.push(...unmet(target, host.state(target.devices.map(({ address }) => address))))
  }
  const elsewhere = record.wedged.filter(({ address }) => !addressesOf(group).includes(address))
  const all = [...elsewhere, ...wedged]
  return {
    record: sameDevices(all, record.wedged) ? record : parts.store.save({ ...record, wedged: all }),
    left,
  }
}

/**
 * The same target for each group that the devices are in now: one that was plugged in again may be in another,
 * with a node of its own. Devices in no group are with the first.
 */
function byGroup(host: LiveHost, target: GroupState): readonly GroupState[] {
  const { devices } = target
  if (devices.length === 0) return []
  const [, ...others] = host
    .groupsOf(devices.map(({ address }) => address))
    .map(({ members }) => new Set(members.map(({ address }) => address)))
  const parts = others.map((members) => devices.filter(({ address }) => members.has(address)))
  const elsewhere = new Set(parts.flat())
  const first = devices.filter((device) => !elsewhere.has(device))
  return [first, ...parts].map((part) => ({ ...target, devices: part }))
}

function isOf(action: Action, devices: readonly WedgedDevice[]): boolean {
  return action.kind !== 'set-node' && devices.some(({ address }) => address === action.address)
}

function sameDevices(a: readonly WedgedDevice[], b: readonly WedgedDevice[]): boolean {
  const names = (all: readonly WedgedDevice[]): string =>
    all
      .map(({ address }) => address)
      .sort()
      .join(' ')
  return names(a) === names(b)
}

interface Taken {
  readonly left: readonly string[]
  readonly wedged: WedgedDevice | null
}

async function take(
  parts: KeptParts,
  { id }: ClaimRecord,
  action: Action,
  beside: readonly string[],
): Promise<Taken> {
  const stepper = stepperOf(parts, id)
  try {
    stepper.record(action)
  } catch (cause) {
    // A repair that is not written down is found by its facts, as every repair is.
    if (!(cause instanceof IsogroupError)) throw cause
  }
  if (action.kind === 'unbind' || action.kind === 'probe') parts.limit.note(action.address)
  const result = await takeStep(stepper, action, beside)
  switch (result.kind) {
    case 'done':
      parts.say({ kind: 'repair', step: describeAction(action) })
      return { left: [], wedged: null }
    case 'failed': {
      const { step, code, evidence } = result.failure
      return { left: [`${step}: ${code}`, ...indented(evidence)], wedged: null }
    }
    case 'wedged': {
      const { device } = result
      const line = `${device.address} hangs: ${device.step}`
      return { left: [line, ...indented(device.evidence)], wedged: device }
    }
  }
}

function indented(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`)
}

/** Devices that a step of ours waits for still, or somebody's unbind. */
async function hangingNow(
  { host, clock }: KeptParts,
  record: ClaimRecord,
  group: ClaimedGroup,
): Promise<readonly WedgedDevice[]> {
  const own = addressesOf(group)
  const known = (await hangingDevices(host, clock, record, null)).filter(({ address }) =>
    own.includes(address),
  )
  const members = host.groupsOf(own).flatMap((live) => live.members)
  const foreign = group.target.devices.flatMap(({ address, driver }) => {
    const found = members.find((member) => member.address === address)
    if (found === undefined || found.driver !== null || driver === null) return []
    if (known.some((device) => device.address === address)) return []
    if (group.newcomers.includes(address)) return []
    return beingUnbound(host, address)
  })
  return [...known, ...foreign]
}
