/**
 * Who is in which group, as the kernel's own groups say, laid over the PCI tree.
 *
 * Strength asks one question again and again: is everything behind this bridge in this group? It is
 * answered from a summary per bridge, made once, so that a host with ten thousand functions costs one
 * walk over its tree.
 */
import { isIommuFunction } from '../groups/predict.ts'
import type { HostGroup, HostSnapshot, OtherDevice } from '../host.ts'
import type { Node, Topology } from '../topology/topology.ts'

/** One group with its members as devices. */
export interface AssessedMembers {
  readonly group: HostGroup
  /** PCI functions, in the order of the group. */
  readonly members: readonly Node[]
  /** Members that are not PCI functions. */
  readonly others: readonly OtherDevice[]
  /** Names that the group lists but that are not among the devices read. */
  readonly unlisted: readonly string[]
}

export interface Membership {
  /** In the order of the snapshot; empty when the groups are unknown. */
  readonly groups: readonly AssessedMembers[]
  /** Id of the group that lists the function; null when none does. */
  groupOf(node: Node): string | null
  /** Whether everything behind a bridge, the bridge itself left out, is in the group; true when nothing is there. */
  holdsAllBelow(id: string, bridge: Node): boolean
}

/** Summary of the functions behind a bridge: the one group of all of them, or one of these. */
const SEVERAL = null
const NOTHING = ''

const NO_OTHERS: readonly OtherDevice[] = []
const NO_NAMES: readonly string[] = []

export function readMembership(snapshot: HostSnapshot, topology: Topology): Membership {
  const byNode = new Map<Node, string>()
  const others = othersByGroup(snapshot.otherDevices)
  const listed = snapshot.groups.known ? snapshot.groups.value : []
  const groups = listed.map((group) => resolve(group, topology, others.get(group.id)))
  for (const { group, members } of groups) {
    for (const node of members) byNode.set(node, group.id)
  }
  const below = new Map<Node, string | null>()
  function summary(bridge: Node): string | null {
    const done = below.get(bridge)
    if (done !== undefined) return done
    let found: string | null = NOTHING
    for (const child of bridge.children) {
      found = merge(found, ofNode(child))
      // Depth is bounded by the topology (256 bridges), so recursion is too.
      if (child.children.length > 0) found = merge(found, summary(child))
      if (found === SEVERAL) break
    }
    below.set(bridge, found)
    return found
  }
  function ofNode(node: Node): string | null {
    // An IOMMU's own function has no group on any host, and does no DMA that could be turned around.
    return byNode.get(node) ?? (isIommuFunction(node) ? NOTHING : SEVERAL)
  }
  return {
    groups,
    groupOf: (node) => byNode.get(node) ?? null,
    holdsAllBelow(id, bridge) {
      const found = summary(bridge)
      return found === id || found === NOTHING
    },
  }
}

function merge(a: string | null, b: string | null): string | null {
  if (a === NOTHING || a === b) return b
  return b === NOTHING ? a : SEVERAL
}

function resolve(
  group: HostGroup,
  topology: Topology,
  others: ReadonlyMap<string, OtherDevice> | undefined,
): AssessedMembers {
  const members: Node[] = []
  let rest: OtherDevice[] | null = null
  let unlisted: string[] | null = null
  for (const name of group.members) {
    const node = topology.nodes.get(name)
    const other = node === undefined ? others?.get(name) : undefined
    if (node !== undefined) members.push(node)
    else if (other !== undefined) rest = [...(rest ?? []), other]
    else unlisted = [...(unlisted ?? []), name]
  }
  return { group, members, others: rest ?? NO_OTHERS, unlisted: unlisted ?? NO_NAMES }
}

function othersByGroup(
  devices: readonly OtherDevice[],
): ReadonlyMap<string, ReadonlyMap<string, OtherDevice>> {
  const groups = new Map<string, Map<string, OtherDevice>>()
  for (const device of devices) {
    const named = groups.get(device.group)
    if (named === undefined) groups.set(device.group, new Map([[device.name, device]]))
    else named.set(device.name, device)
  }
  return groups
}
