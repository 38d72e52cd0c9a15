/**
 * The assessment of a host: every group with its strength and viability, and what has no group.
 *
 *     snapshot + topology + rules  ->  Assessment
 */
import { isIommuFunction } from '../groups/predict.ts'
import type { Rules } from '../groups/rules.ts'
import type { HostSnapshot } from '../host.ts'
import type { Node, Topology } from '../topology/topology.ts'
import type { AssessedMembers, Membership } from './membership.ts'
import {
  assessmentContext,
  noGroupStrength,
  type Strength,
  strengthOf,
  unreadGroupStrength,
} from './strength.ts'
import { type Viability, viabilityOf } from './viability.ts'

export interface Assessment {
  /** In the order of the snapshot: by group id. Empty when the host has no groups or they are unknown. */
  readonly groups: readonly AssessedGroup[]
  /** PCI functions that no group lists, in address order. */
  readonly ungrouped: readonly UngroupedFunction[]
}

export interface AssessedGroup extends AssessedMembers {
  readonly id: string
  readonly strength: Strength
  readonly viability: Viability
}

export interface UngroupedFunction {
  readonly node: Node
  /** Why it has none, or why that is not known. */
  readonly reason: string
  /** `normal`: expected on a host with its IOMMU on; `unknown`: it may be in a group all the same. */
  readonly kind: 'normal' | 'no-group' | 'unknown'
  readonly strength: Strength
}

/**
 * Never throws; cost is linear in the number of functions.
 * @param only null: every group; else those that one of these functions is in
 */
export function assess(
  snapshot: HostSnapshot,
  topology: Topology,
  rules: Rules,
  only: ReadonlySet<string> | null = null,
): Assessment {
  const context = assessmentContext(snapshot, topology, rules)
  const { groups } = context.membership
  const wanted =
    only === null
      ? groups
      : groups.filter(({ group }) => group.members.some((address) => only.has(address)))
  return {
    groups: wanted.map((members) => ({
      id: members.group.id,
      group: members.group,
      members: members.members,
      others: members.others,
      unlisted: members.unlisted,
      strength: strengthOf(members, context),
      viability: viabilityOf(members, context),
    })),
    ungrouped: ungroupedFunctions(snapshot, topology, context.membership),
  }
}

/** Every function that no group lists, with the reason. */
export function ungroupedFunctions(
  snapshot: HostSnapshot,
  topology: Topology,
  membership: Membership,
): readonly UngroupedFunction[] {
  const ungrouped: UngroupedFunction[] = []
  for (const node of topology.nodes.values()) {
    if (membership.groupOf(node) === null) ungrouped.push(withoutGroup(node, snapshot))
  }
  return ungrouped
}

function withoutGroup(node: Node, snapshot: HostSnapshot): UngroupedFunction {
  const why = openQuestion(node, snapshot)
  if (why !== null) {
    return { node, reason: why, kind: 'unknown', strength: unreadGroupStrength(why) }
  }
  const any = snapshot.groups.known && snapshot.groups.value.length > 0
  const usual = any ? usualReason(node) : null
  if (usual !== null) {
    return { node, reason: usual, kind: 'normal', strength: noGroupStrength(usual) }
  }
  const reason = any
    ? 'the kernel put it into no group: no IOMMU covers it'
    : 'the kernel made no groups: no IOMMU is in use'
  return { node, reason, kind: 'no-group', strength: noGroupStrength(reason) }
}

const HOST_BRIDGE_CLASS = 0x0600

/** Why a function has no group even where an IOMMU is on; null when it should have one. */
function usualReason(node: Node): string | null {
  if (isIommuFunction(node)) return 'it is an IOMMU itself, whose own DMA is not translated'
  const { classCode } = node.fn
  if (!classCode.known || classCode.value >>> 8 !== HOST_BRIDGE_CLASS) return null
  return 'it is a host bridge, which AMD firmware leaves out since it does no DMA'
}

/** Why it is not certain that a function has no group; null when it is. */
function openQuestion({ fn }: Node, snapshot: HostSnapshot): string | null {
  if (!snapshot.groups.known) return `groups: ${snapshot.groups.why}`
  if (!fn.group.known) return `group: ${fn.group.why}`
  if (fn.group.value === null) return null
  return `it names group ${fn.group.value}, which does not list it: the host changed while it was read`
}
