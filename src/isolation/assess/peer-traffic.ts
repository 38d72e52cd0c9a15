/**
 * p2p: can requests pass between a group and devices outside it without meeting the IOMMU?
 *
 * The registers decide, not the partition: where groups promise too much (an ACS override patch, the
 * ports of a switch, which the kernel never compares), this says no. A request can be turned around
 *
 *     behind a bridge that does not isolate   -> anything below the bridge, and the bridge
 *     between functions of one slot           -> a mate, when neither isolates or the mate does not
 *     between downstream ports of one switch  -> everything below the other port
 *
 * and never between slots of a root bus: a root complex translates before it decodes peer addresses
 * (VT-d specification, Root-Complex Peer-to-Peer Considerations), which is what Linux relies on too.
 * Places that a request could reach are harmless when they belong to the group itself.
 */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { AcsTable, AcsVerdict } from '../groups/acs.ts'
import { portType, slotMates } from '../groups/port-type.ts'
import { isIommuFunction } from '../groups/predict.ts'
import type { Node } from '../topology/topology.ts'
import { bridgeKind } from './bridge.ts'
import { type Guarantee, no, undecided, weaker, yes } from './guarantee.ts'
import type { AssessedMembers, Membership } from './membership.ts'

/** A place on the way to the root where requests could be turned around, and where they would arrive. */
interface Leak {
  /** Weakens the group unless the group holds everything that `reach` stands for. */
  readonly finding: Guarantee
  readonly reach: 'at-and-below' | 'anything'
  readonly node: Node
}

const NO_LEAKS: readonly Leak[] = []

export type PeerTraffic = (group: AssessedMembers) => Guarantee

/** Prepares the question for all groups of a host; paths and slots are looked at once. */
export function peerTraffic(membership: Membership, acs: AcsTable): PeerTraffic {
  const upward = new Map<Node, readonly Leak[]>()
  const clean = new Map<Node | null, Guarantee>()

  function leaksFrom(node: Node): readonly Leak[] {
    const own = leaksAt(node, acs)
    const up = node.parent ?? node.bus.host
    const above = up === null ? NO_LEAKS : leaksUp(up)
    if (own.length === 0) return above
    return above.length === 0 ? own : [...own, ...above]
  }
  function leaksUp(bridge: Node): readonly Leak[] {
    let leaks = upward.get(bridge)
    if (leaks === undefined) {
      // A host of a bus could only be above itself in damaged input; the empty list ends such a walk.
      upward.set(bridge, NO_LEAKS)
      leaks = leaksFrom(bridge)
      upward.set(bridge, leaks)
    }
    return leaks
  }
  function contained(leak: Leak, id: string): boolean {
    if (leak.reach === 'anything') return false
    return membership.groupOf(leak.node) === id && membership.holdsAllBelow(id, leak.node)
  }
  function cleanPath(node: Node): Guarantee {
    let result = clean.get(node.parent)
    if (result === undefined) {
      result = yes(pathEvidence(node))
      clean.set(node.parent, result)
    }
    return result
  }
  return ({ group, members, unlisted }) => {
    const first = members[0]
    if (first === undefined) return NOT_PCI
    let result: Guarantee | null = null
    let open = false
    for (const node of members) {
      for (const leak of leaksFrom(node)) {
        open = true
        if (contained(leak, group.id)) continue
        result = result === null ? leak.finding : weaker(result, leak.finding)
        if (result.verdict === 'no') return result
      }
    }
    if (result !== null) return result
    if (unlisted.length > 0) return undecided(`${unlisted.join(', ')} could not be looked at`)
    return open ? CONTAINED : cleanPath(first)
  }
}

const NOT_PCI = undecided(
  'no member is a PCI function; other buses tell nothing about peer traffic',
)
const CONTAINED = yes('what does not isolate on the way leads only to members of this group')

function pathEvidence(node: Node): string {
  const ports: string[] = []
  for (let at = node.parent; at !== null; at = at.parent) ports.push(at.address)
  if (ports.length === 0) return 'on a root bus, and nothing beside it in its slot can reach it'
  return `every bridge on the way isolates: ${ports.join(', ')}`
}

/** The leaks at one element of a path; most have none. */
function leaksAt(node: Node, acs: AcsTable): readonly Leak[] {
  const bridge = isBridge(node) || node.children.length > 0
  const alone = node.isVirtual || node.bus.nodes.length < 2
  if (!bridge && alone && !cutAbove(node)) return NO_LEAKS
  const leaks: Leak[] = []
  if (cutAbove(node)) leaks.push(missingAbove(node))
  if (bridge) {
    const back = turnAround(node, acs)
    if (back !== null) leaks.push(back)
    if (node.parent !== null) leaks.push(...switchLeaks(node, node.parent, acs))
  }
  for (const mate of alone ? [] : slotMates(node)) {
    const leak = mate === node ? null : slotLeak(node, mate, acs)
    if (leak !== null) leaks.push(leak)
  }
  return leaks.length === 0 ? NO_LEAKS : leaks
}

function isBridge(node: Node): boolean {
  return bridgeKind(node) === 'bridge'
}

/** Types that always have a port above them; on a root bus of a listing something is missing. */
const BEHIND_A_PORT: ReadonlySet<number> = new Set([
  PCIE_TYPE.endpoint,
  PCIE_TYPE.legacyEndpoint,
  PCIE_TYPE.upstreamPort,
  PCIE_TYPE.downstreamPort,
  PCIE_TYPE.pcieToPciBridge,
])

/** Firmware numbers PCI domains with 16 bits; above are the domains of Intel VMD. */
const FIRST_HOSTED_DOMAIN = 0x10000

/** The way to the root is not all listed, as in a text that shows some devices only. */
function cutAbove(node: Node): boolean {
  if (node.parent !== null || node.bus.host !== null) return false
  if (node.fn.parent !== null || node.at.domain >= FIRST_HOSTED_DOMAIN) return true
  return node.at.bus !== 0 && looksCut(node)
}

function missingAbove(node: Node): Leak {
  const finding = undecided(`${node.address}: what leads to its bus is not among the devices read`)
  return { finding, reach: 'anything', node }
}

function looksCut(node: Node): boolean {
  const { pcie, damage } = node.fn.config
  if (!pcie.known) return damage.length > 0
  return pcie.value !== null && BEHIND_A_PORT.has(pcie.value.type)
}

function turnAround(node: Node, acs: AcsTable): Leak | null {
  const verdict = acs.verdict(node)
  if (verdict.verdict === 'yes') return null
  const text = `${node.address} ${because(verdict)}, and not all behind it is in this group`
  return { finding: weak(verdict.verdict, text), reach: 'at-and-below', node }
}

function because({ verdict, reason, evidence }: AcsVerdict): string {
  return verdict === 'unknown' ? `${reason} (${evidence.join(', ')})` : reason
}

function weak(verdict: 'no' | 'unknown', text: string): Guarantee {
  return verdict === 'no' ? no(text) : undecided(text)
}

/** Downstream ports of one switch: without ACS a port sends requests straight to its neighbour. */
function switchLeaks(port: Node, upstream: Node, acs: AcsTable): readonly Leak[] {
  if (upstream.children.length < 2 || !mayBeDownstream(port)) return NO_LEAKS
  const own = acs.verdict(port)
  const leaks: Leak[] = []
  for (const other of upstream.children) {
    if (other === port || other.bus !== port.bus || !mayBeDownstream(other)) continue
    const theirs = acs.verdict(other)
    // A neighbour with nothing below it sends nothing, so its own missing ACS does no harm.
    const inward = other.children.length > 0 ? theirs.verdict : 'yes'
    const open = own.verdict === 'no' || inward === 'no' ? 'no' : 'unknown'
    if (own.verdict === 'yes' && inward === 'yes') continue
    const [from, to, why] = own.verdict === open ? [port, other, own] : [other, port, theirs]
    const text = `${from.address} ${because(why)}: inside the switch, devices below it can reach those below ${to.address}`
    leaks.push({ finding: weak(open, text), reach: 'at-and-below', node: other })
  }
  return leaks
}

function mayBeDownstream(node: Node): boolean {
  const type = portType(node)
  if (type.known) return type.value === PCIE_TYPE.downstreamPort
  return node.children.length > 0 || isBridge(node)
}

/** Functions of one slot; see the file header. */
function slotLeak(node: Node, mate: Node, acs: AcsTable): Leak | null {
  if (isIommuFunction(mate) || isIommuFunction(node)) return null
  const own = acs.verdict(node)
  const theirs = acs.verdict(mate)
  if (own.verdict === 'yes' && theirs.verdict === 'yes') return null
  const oneSided = own.verdict === 'yes' || theirs.verdict === 'yes'
  if (oneSided) {
    const [good, bad] = own.verdict === 'yes' ? [own, mate] : [theirs, node]
    // What a vendor or a specification says about the chip holds for both directions.
    if (good.source === 'quirk' || isSilent(bad)) return null
  }
  const open = own.verdict === 'unknown' || theirs.verdict === 'unknown' ? 'unknown' : 'no'
  const [decider, why] =
    theirs.verdict === 'yes' || (open === 'unknown' && own.verdict === 'unknown')
      ? [node, own]
      : [mate, theirs]
  const text = `${decider.address} ${because(why)}: ${node.address} and ${mate.address} could reach each other inside their slot`
  return { finding: weak(open, text), reach: 'at-and-below', node: mate }
}

const HOST_BRIDGE_CLASS = 0x0600

/** Sends no requests of its own: a host bridge function, or a bridge with nothing behind it. */
function isSilent(node: Node): boolean {
  const { classCode } = node.fn
  if (classCode.known && classCode.value >>> 8 === HOST_BRIDGE_CLASS) return true
  return isBridge(node) && node.children.length === 0
}
