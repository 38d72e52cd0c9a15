/** Devices that came into claimed groups: found by facts, and written into the claim so that they are given back. */
import { IsogroupError } from '../base/errors.ts'
import { fingerprintOf } from '../isolation/ownership/fingerprint.ts'
import {
  newcomersOf,
  type PresentMember,
  withNewcomers,
  withoutGone,
} from '../isolation/ownership/kept-group.ts'
import type { DeviceState } from '../isolation/transaction/state.ts'
import type { ClaimedGroup, ClaimRecord } from './claim-record.ts'
import type { Parts } from './parts.ts'

export interface PresentGroup {
  /** Functions that the claim does not know and has to take. */
  readonly newcomers: readonly PresentMember[]
  /** The group without newcomers of before that are gone again. */
  readonly kept: ClaimedGroup
}

/** From links and ids alone. @throws IsogroupError permission, io */
export function lookForNewcomers({ host, digest }: Parts, group: ClaimedGroup): PresentGroup {
  const held = group.target.devices.map(({ address }) => address)
  const members = host.groupsOf(held).flatMap((live) => live.members)
  const drivers = new Map(members.map(({ address, driver }) => [address, driver]))
  const present = host
    .identities([...drivers.keys()])
    .map((identity) => ({ identity, driver: drivers.get(identity.address) ?? null }))
  const kept = withoutGone(group, new Set(drivers.keys()))
  return {
    newcomers: newcomersOf(group, present),
    kept: kept === group ? group : fingerprinted(kept, digest),
  }
}

/** @param states of the newcomers, as they were found */
export function grownBy(
  { digest }: Parts,
  { kept, newcomers }: PresentGroup,
  driver: string,
  states: readonly DeviceState[],
): ClaimedGroup {
  const identities = newcomers.map(({ identity }) => identity)
  return fingerprinted(withNewcomers(kept, driver, identities, states), digest)
}

function fingerprinted(
  group: Omit<ClaimedGroup, 'fingerprint'>,
  digest: Parts['digest'],
): ClaimedGroup {
  return { ...group, fingerprint: fingerprintOf(group.members, digest) }
}

/**
 * Newcomers that a guard aimed at the claim's driver and did not live to write down: their override tells.
 * Others are left to whoever has them.
 */
export function withAimedNewcomers(parts: Parts, record: ClaimRecord): ClaimRecord {
  const groups = record.groups.map((group) => {
    try {
      const present = lookForNewcomers(parts, group)
      const addresses = present.newcomers.map(({ identity }) => identity.address)
      if (addresses.length === 0) return group
      const { devices } = parts.host.state(addresses)
      const aimed = devices.filter(({ override }) => override === record.driver)
      return aimed.length === 0 ? group : grownBy(parts, present, record.driver, aimed)
    } catch (cause) {
      // What the record has is given back in any case.
      if (!(cause instanceof IsogroupError)) throw cause
      return group
    }
  })
  return { ...record, groups }
}
