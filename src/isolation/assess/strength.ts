/**
 * What the wall around a group is made of: six guarantees, each yes, no or unknown, with evidence.
 *
 * The kernel knows one bit (a user may have the group or not). These are the facts behind it, so that
 * whoever decides can see which one is missing. What each means is in docs/concepts.md.
 */
import { acsTable } from '../groups/acs.ts'
import type { Rules } from '../groups/rules.ts'
import type { HostGroup, HostSnapshot, ReservedRegion } from '../host.ts'
import type { Topology } from '../topology/topology.ts'
import { driverRole } from './driver-roles.ts'
import { type Guarantee, no, undecided, yes } from './guarantee.ts'
import { type Interrupts, readInterrupts } from './interrupts.ts'
import { type AssessedMembers, type Membership, readMembership } from './membership.ts'
import { type PeerTraffic, peerTraffic } from './peer-traffic.ts'
import { type Resets, readResets } from './resets.ts'

/** In the order in which they are shown. */
export const STRENGTH_BITS = ['translation', 'dma', 'p2p', 'msi', 'reset', 'identity'] as const

export type StrengthBit = (typeof STRENGTH_BITS)[number]

export type Strength = Readonly<Record<StrengthBit, Guarantee>>

/** What is looked at once per host. */
export interface AssessmentContext {
  readonly snapshot: HostSnapshot
  readonly topology: Topology
  readonly rules: Rules
  readonly membership: Membership
  readonly interrupts: Interrupts
  readonly peers: PeerTraffic
  readonly resets: Resets
}

export function assessmentContext(
  snapshot: HostSnapshot,
  topology: Topology,
  rules: Rules,
): AssessmentContext {
  const membership = readMembership(snapshot, topology)
  return {
    snapshot,
    topology,
    rules,
    membership,
    interrupts: readInterrupts(snapshot, topology),
    peers: peerTraffic(membership, acsTable(rules)),
    resets: readResets(membership, topology),
  }
}

/** The guarantees of one of the context's groups. */
export function strengthOf(group: AssessedMembers, context: AssessmentContext): Strength {
  const pretence = noIommu(group, context.snapshot)
  const reset = context.resets(group)
  if (pretence === 'certain') return { ...NO_IOMMU, reset }
  const { translation, dma } = pretence === 'no' ? TRANSLATED : MAYBE
  return {
    translation,
    dma,
    p2p: context.peers(group),
    msi: context.interrupts.ofGroup(group),
    reset,
    identity: identity(group.group),
  }
}

/** The guarantees of a function that is certainly in no group: no IOMMU translates for it. */
export function noGroupStrength(reason: string): Strength {
  const none = no(reason)
  const reset = undecided(`resets are judged for groups; ${reason}`)
  return { translation: none, dma: none, p2p: none, msi: none, reset, identity: none }
}

/** The guarantees of a function of which nobody knows whether it is in a group. */
export function unreadGroupStrength(why: string): Strength {
  const open = undecided(why)
  return { translation: open, dma: open, p2p: open, msi: open, reset: open, identity: open }
}

/** Name that VFIO gives to the groups it makes up without an IOMMU (drivers/vfio/group.c). */
const NO_IOMMU_NAME = 'vfio-noiommu'
const NO_IOMMU = noGroupStrength(`the group is named ${NO_IOMMU_NAME}: it has no IOMMU`)
const MAYBE_NO_IOMMU = undecided(
  `the group's name is unknown: a lone function on a VFIO driver may be in a ${NO_IOMMU_NAME} group`,
)
const MAYBE = { translation: MAYBE_NO_IOMMU, dma: MAYBE_NO_IOMMU }

/** Whether a group only pretends: VFIO makes one per device when it is told to do without an IOMMU. */
function noIommu(
  { group, members, others }: AssessedMembers,
  snapshot: HostSnapshot,
): 'certain' | 'possible' | 'no' {
  // Made-up groups have no regions; asking for the name of every real one would cost a call each.
  if (group.reserved.known && group.reserved.value.length > 0) return 'no'
  if (group.name.known) return group.name.value === NO_IOMMU_NAME ? 'certain' : 'no'
  const { nodes } = snapshot.vfio
  if (nodes.known) return nodes.value.includes(`noiommu-${group.id}`) ? 'certain' : 'no'
  if (members.length + others.length !== 1) return 'no'
  const driver = members[0]?.fn.driver ?? others[0]?.driver
  if (driver?.known !== true) return 'possible'
  if (driver.value === null) return 'no'
  const role = driverRole(driver.value)
  return role === 'user' || role === 'unknown' ? 'possible' : 'no'
}

/**
 * True of every real group, whatever its default domain: also where the kernel's own drivers bypass
 * translation ("identity", iommu=pt), a user gets tables of its own.
 */
const TRANSLATED = {
  translation: yes('an IOMMU group: a unit translates for it'),
  dma: yes('the kernel gives every group tables of its own'),
}

const NO_FIXED_MEMORY = yes('reserved_regions: none of kind direct')

function identity({ id, reserved }: HostGroup): Guarantee {
  if (!reserved.known) return undecided(`reserved regions of group ${id}: ${reserved.why}`)
  const fixed = reserved.value.find(isFixed)
  if (fixed === undefined) return NO_FIXED_MEMORY
  return no(
    `/sys/kernel/iommu_groups/${id}/reserved_regions: ${fixed.start} ${fixed.end} direct: firmware wants this memory mapped one to one`,
  )
}

/** "direct-relaxable" regions (USB, graphics) do not bind a user. */
export function isFixed(region: ReservedRegion): boolean {
  return region.kind === 'direct'
}
