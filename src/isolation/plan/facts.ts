/**
 * Everything that a plan is made of, read once. The plan itself is a pure function of it, so that what a
 * person was shown and what is carried out cannot differ by what was looked at in between.
 */
import { IsogroupError } from '../../base/errors.ts'
import { type Fact, known } from '../../base/fact.ts'
import { type AssessedGroup, type Assessment, assess } from '../assess/assess.ts'
import { rulesFor } from '../groups/rules.ts'
import type { DeviceDetails, HostReadiness, HostSnapshot } from '../host.ts'
import type { DeviceUsage, LiveHost, Program } from '../live-host.ts'
import { buildTopology } from '../topology/topology.ts'
import type { GroupState } from '../transaction/state.ts'
import { fateOf } from './member.ts'
import type { ClaimRequest, HeldClaim } from './request.ts'

export interface PlanFacts {
  readonly snapshot: HostSnapshot
  /** Of the groups asked for. */
  readonly assessment: Assessment
  readonly readiness: HostReadiness
  /** Of every function in the groups asked for, by address. */
  readonly details: ReadonlyMap<string, DeviceDetails>
  /** Of the functions that the claim would give away, by address. */
  readonly usage: ReadonlyMap<string, DeviceUsage>
  /** By group id: of the functions that the claim would hold. */
  readonly states: ReadonlyMap<string, GroupState>
  /** By group id: who has the group's node or a device of it open. */
  readonly users: ReadonlyMap<string, Fact<readonly Program[]>>
  /** How much memory the owner may lock, in bytes; null = unlimited. */
  readonly memlock: Fact<number | null>
  readonly driverLoaded: boolean
  readonly claims: readonly HeldClaim[]
}

/** @throws IsogroupError not-found (a target that is not on the host), usage (no target) */
export function readPlanFacts(
  host: LiveHost,
  request: ClaimRequest,
  claims: readonly HeldClaim[],
): PlanFacts {
  const snapshot = host.snapshot()
  const topology = buildTopology(snapshot)
  const only = new Set(request.targets.flat())
  const assessment = assess(snapshot, topology, rulesFor(snapshot, null), only)
  checkTargets(request, (address) => topology.nodes.has(address))
  const groups = groupsOf(request, assessment)
  const functions = groups.flatMap(({ members }) => members)
  const moved = functions.filter((node) => fateOf(node, request.driver) === 'move')
  const programs = host.programs()
  return {
    snapshot,
    assessment,
    readiness: host.readiness(),
    details: byAddress(host.details(functions.map(({ address }) => address))),
    usage: byAddress(
      host.usage(
        moved.map(({ address }) => address),
        programs,
      ),
    ),
    states: new Map(groups.map((group) => [group.id, host.state(heldBy(group, request.driver))])),
    users: new Map(groups.map(({ id }) => [id, programs.usersOf(id)])),
    memlock: request.owner === null ? known(null) : host.memlock(request.owner.uid),
    driverLoaded: host.hasDriver(request.driver),
    claims,
  }
}

/** The groups that a request names, in its order, each once. */
export function groupsOf(request: ClaimRequest, assessment: Assessment): readonly AssessedGroup[] {
  const found = new Set<AssessedGroup>()
  for (const address of request.targets.flat()) {
    const group = assessment.groups.find((one) => one.group.members.includes(address))
    if (group !== undefined) found.add(group)
  }
  return [...found]
}

/** Addresses of the functions that a claim of the group holds: all but what stays where it is. */
export function heldBy({ members }: AssessedGroup, driver: string): readonly string[] {
  return members.filter((node) => fateOf(node, driver) !== 'stays').map(({ address }) => address)
}

function byAddress<T extends { readonly address: string }>(
  all: readonly T[],
): ReadonlyMap<string, T> {
  return new Map(all.map((one) => [one.address, one]))
}

function checkTargets({ targets }: ClaimRequest, exists: (address: string) => boolean): void {
  const addresses = targets.flat()
  if (addresses.length === 0) {
    throw new IsogroupError('usage', 'no device to claim was named', 'isogroup claim 01:00.0')
  }
  const missing = addresses.find((address) => !exists(address))
  if (missing === undefined) return
  throw new IsogroupError('not-found', `there is no PCI function ${missing}`, 'isogroup ls')
}
