/**
 * A claim beside the host: who uses its groups, how well they are kept, and what no longer fits.
 *
 * Drivers come from links alone. Nothing is read here that would wait for the lock of a device that hangs: not its
 * driver_override, and on Linux 6.1 not even its uevent, so there is no snapshot.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { LiveHost, Program, Programs } from '../isolation/live-host.ts'
import { changesBetween } from '../isolation/ownership/fingerprint.ts'
import { type Protection, weakest } from '../isolation/ownership/protection.ts'
import { nodeLines } from '../isolation/transaction/unmet.ts'
import type { ClaimedGroup, ClaimRecord } from './claim-record.ts'
import { type ClaimView, type ClaimViewGroup, recordedView } from './claim-view.ts'
import { protectionNow } from './protection-now.ts'

/** @param programs from one look for all claims */
export function lookAtClaim(host: LiveHost, programs: Programs, record: ClaimRecord): ClaimView {
  const looks = record.groups.map((claimed) => lookAtGroup(host, programs, claimed))
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

function lookAtGroup(host: LiveHost, programs: Programs, claimed: ClaimedGroup): GroupLook {
  const { before, target, fingerprint } = claimed
  const groups = host.groupsOf(target.devices.map(({ address }) => address))
  const ids = groups.map(({ group }) => group)
  const members = groups.flatMap((group) => group.members)
  const drivers = new Map(members.map(({ address, driver }) => [address, driver]))
  const users = together(ids.map((id) => programs.usersOf(id)))
  const strayed = target.devices.flatMap(({ address, present, driver }) => {
    const now = drivers.get(address)
    return !present || now === undefined ? [] : strayLine(address, now, driver)
  })
  // Without a device on a VFIO driver a group has no node: then its drivers are what is to be said.
  const nodes = strayed.length > 0 ? [] : groups.flatMap((group) => nodeLines(target.node, group))
  const isThere = target.devices.every(({ address }) => drivers.has(address))
  const whole = isThere && strayed.length === 0 && nodes.length === 0
  return {
    view: { before, target, group: ids[0] ?? null, fingerprint },
    users,
    protection: protectionNow(groups, programs, whole),
    changes: [
      ...(ids.length > 1 ? [`the group has become several: ${ids.join(', ')}`] : []),
      ...changesBetween(claimed.members, host.identities([...drivers.keys()])),
      ...strayed,
      ...nodes,
    ],
  }
}

function strayLine(address: string, now: string | null, wanted: string | null): readonly string[] {
  if (now === wanted) return []
  return [`${address} is on ${now ?? 'no driver'}, not on ${wanted ?? 'no driver'}`]
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
