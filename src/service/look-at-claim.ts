/**
 * A claim beside the host: who uses its groups, how well they are kept, and what no longer fits.
 *
 * Drivers come from links alone. Nothing is read here that would wait for the lock of a device that hangs.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { HostSnapshot, PciFunction } from '../isolation/host.ts'
import type { LiveHost, Program } from '../isolation/live-host.ts'
import { changesBetween } from '../isolation/ownership/fingerprint.ts'
import { type Protection, protectionOf, weakest } from '../isolation/ownership/protection.ts'
import type { ClaimedGroup, ClaimRecord } from './claim-record.ts'
import { type ClaimView, type ClaimViewGroup, recordedView } from './claim-view.ts'

export function lookAtClaim(
  host: LiveHost,
  snapshot: HostSnapshot,
  record: ClaimRecord,
): ClaimView {
  const looks = record.groups.map((claimed) => lookAtGroup(host, snapshot, claimed))
  return {
    ...recordedView(record),
    groups: looks.map(({ view }) => view),
    users: together(looks.map(({ users }) => users)),
    protection: weakest(looks.map(({ protection }) => protection)),
    changes: looks.flatMap(({ changes }) => changes),
  }
}

interface GroupLook {
  readonly view: ClaimViewGroup
  readonly users: Fact<readonly Program[]>
  readonly protection: Protection
  readonly changes: readonly string[]
}

function lookAtGroup(host: LiveHost, snapshot: HostSnapshot, claimed: ClaimedGroup): GroupLook {
  const { before, target, fingerprint } = claimed
  const functions = new Map(snapshot.functions.map((fn) => [fn.address, fn]))
  const held = target.devices.map(({ address }) => functions.get(address))
  const ids = [...new Set(held.flatMap((fn) => (fn === undefined ? [] : groupOf(fn))))]
  const members = snapshot.functions.filter((fn) => groupOf(fn).some((id) => ids.includes(id)))
  const users = together(ids.map((id) => host.groupUsers(id)))
  const strayed = target.devices.flatMap(({ address, present, driver }) => {
    if (!present) return []
    const fn = functions.get(address)
    return fn === undefined ? [] : strayLine(fn, driver)
  })
  const isThere = held.every((fn) => fn !== undefined)
  const drivers = members.map(({ driver }) => driver)
  return {
    view: { before, target, group: ids[0] ?? null, fingerprint },
    users,
    protection: protectionOf({ drivers, whole: isThere && strayed.length === 0, users }),
    changes: [
      ...(ids.length > 1 ? [`the group has become several: ${ids.join(', ')}`] : []),
      ...changesBetween(claimed.members, host.identities(members.map(({ address }) => address))),
      ...strayed,
    ],
  }
}

function groupOf({ group }: PciFunction): readonly string[] {
  return group.known && group.value !== null ? [group.value] : []
}

function strayLine({ address, driver }: PciFunction, wanted: string | null): readonly string[] {
  if (!driver.known) return [`the driver of ${address} is unknown: ${driver.why}`]
  if (driver.value === wanted) return []
  return [`${address} is on ${driver.value ?? 'no driver'}, not on ${wanted ?? 'no driver'}`]
}

/** Each program once, though it may use several groups. */
function together(all: readonly Fact<readonly Program[]>[]): Fact<readonly Program[]> {
  const programs = new Map<string, Program>()
  for (const one of all) {
    if (!one.known) return unknown(one.why)
    for (const program of one.value) programs.set(`${String(program.pid)} ${program.file}`, program)
  }
  return known([...programs.values()])
}
