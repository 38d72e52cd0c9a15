/**
 * A claimed group while devices come and go: who is new in it, and where everybody should be then.
 *
 *     remembered group + functions in it now  ->  the group to remember, with its newcomers
 *
 * A newcomer is a device that was plugged in, or found again under another address or with other ids. What it was
 * on before may not be known, when the guard was faster than any driver. Such a one is offered to all drivers when
 * the claim is released, as the kernel would have offered it.
 */
import { isBridgeClass } from '../assess/bridge.ts'
import { isChipsetClass } from '../assess/chipset.ts'
import { driverRole } from '../assess/driver-roles.ts'
import type { DeviceIdentity } from '../live-host.ts'
import type { DeviceState, GroupState } from '../transaction/state.ts'
import { isSameDevice } from './fingerprint.ts'

/** What is remembered of a group in order to keep it whole and to give it back. */
export interface KeptGroup {
  /** Where its devices were: what a release goes back to. */
  readonly before: GroupState
  readonly target: GroupState
  /** All PCI functions of the group as they were last remembered, also those that are not touched. */
  readonly members: readonly DeviceIdentity[]
  /** Addresses of devices that came after the claim. Those without a driver before are offered to all on release. */
  readonly newcomers: readonly string[]
}

/** A function that is in the group now. */
export interface PresentMember {
  readonly identity: DeviceIdentity
  /** Name of the bound driver. */
  readonly driver: string | null
}

/** Functions that the claim does not know and has to take: neither bridges nor idle parts of the chipset. */
export function newcomersOf(
  kept: KeptGroup,
  now: readonly PresentMember[],
): readonly PresentMember[] {
  return now.filter(({ identity, driver }) => {
    if (kept.members.some((member) => isSameDevice(member, identity))) return false
    return isTakable(identity, driver)
  })
}

/** The class is the last word of the ids; what cannot be read may be anything, and is left alone. */
function isTakable({ ids }: DeviceIdentity, driver: string | null): boolean {
  const word = ids.slice(ids.lastIndexOf(' ') + 1)
  if (!/^[0-9a-f]{6}$/.test(word)) return false
  const classCode = Number.parseInt(word, 16)
  if (isBridgeClass(classCode)) return false
  return !isChipsetClass(classCode) || (driver !== null && driverRole(driver) === 'kernel')
}

/**
 * The group with newcomers taken in: all known, all aimed at the claim's driver.
 * @param states of the newcomers, as they were found
 */
export function withNewcomers(
  kept: KeptGroup,
  driver: string,
  newcomers: readonly DeviceIdentity[],
  states: readonly DeviceState[],
): KeptGroup {
  const there = states.filter(({ present }) => present)
  const addresses = there.map(({ address }) => address)
  const { before, target, members, newcomers: earlier } = without(kept, addresses)
  const taken = newcomers.filter(({ address }) => addresses.includes(address))
  return {
    before: plus(
      before,
      there.map((state) => homeOf(state, driver)),
    ),
    target: plus(
      target,
      there.map((state) => aimedAt(state, driver)),
    ),
    members: [...members, ...taken],
    newcomers: [...earlier, ...addresses],
  }
}

/** Newcomers that left again are forgotten; devices of the claim itself are not, for they may come back. */
export function withoutGone(kept: KeptGroup, present: ReadonlySet<string>): KeptGroup {
  const gone = kept.newcomers.filter((address) => !present.has(address))
  return gone.length === 0 ? kept : without(kept, gone)
}

function without(kept: KeptGroup, addresses: readonly string[]): KeptGroup {
  const others = <T extends { readonly address: string }>(all: readonly T[]): readonly T[] =>
    all.filter(({ address }) => !addresses.includes(address))
  return {
    before: { ...kept.before, devices: others(kept.before.devices) },
    target: { ...kept.target, devices: others(kept.target.devices) },
    members: others(kept.members),
    newcomers: kept.newcomers.filter((address) => !addresses.includes(address)),
  }
}

function plus(state: GroupState, devices: readonly DeviceState[]): GroupState {
  return { ...state, devices: [...state.devices, ...devices] }
}

/**
 * Where it goes on release. One that has the claim's driver by the claim's own aim was taken by a guard that did not
 * live to write it down.
 */
function homeOf(state: DeviceState, driver: string): DeviceState {
  if (state.override !== driver) return state
  return { ...state, driver: state.driver === driver ? null : state.driver, override: null }
}

function aimedAt(state: DeviceState, driver: string): DeviceState {
  const autoprobe = state.autoprobe === null ? null : false
  return { ...state, driver, override: driver, autoprobe }
}
