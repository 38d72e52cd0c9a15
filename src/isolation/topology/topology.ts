/**
 * The PCI tree as grouping sees it: buses, the bridge that leads to each, and the functions on it.
 *
 *     snapshot.functions  ->  Topology { nodes by address, buses by name }
 *
 * A bus without a bridge is a root bus, or the bus of SR-IOV virtual functions that do not fit on
 * their physical function's bus ("virtual bus": it has an upstream bridge but is nobody's secondary).
 */
import { formatBus, type PciAddress, parseAddress } from '../../pci/address.ts'
import type { HostSnapshot, PciFunction } from '../host.ts'

export interface Node {
  readonly address: string
  readonly at: PciAddress
  readonly fn: PciFunction
  /** The bridge above; null on a root bus. */
  readonly parent: Node | null
  readonly bus: Bus
  /** Functions on the buses directly behind this one. */
  readonly children: readonly Node[]
  readonly isVirtual: boolean
}

export interface Bus {
  /** "0000:01" */
  readonly name: string
  readonly domain: number
  readonly number: number
  /** The bridge above; null for a root bus. */
  readonly bridge: Node | null
  readonly nodes: readonly Node[]
  /** Functions by slot number, virtual functions left out: they are no part of a slot's hardware. */
  readonly slots: ReadonlyMap<number, readonly Node[]>
  /** The function that issues the DMA of everything on this root bus (Intel VMD); null for most. */
  readonly host: Node | null
}

export interface Topology {
  readonly nodes: ReadonlyMap<string, Node>
  readonly buses: ReadonlyMap<string, Bus>
  /** What does not fit together, in words: a parent that is not listed, a loop. */
  readonly damage: readonly string[]
}

interface MutableNode extends Omit<Node, 'parent' | 'bus' | 'children'> {
  parent: MutableNode | null
  bus: MutableBus
  children: MutableNode[]
}

interface MutableBus extends Omit<Bus, 'bridge' | 'nodes' | 'slots' | 'host'> {
  bridge: MutableNode | null
  nodes: MutableNode[]
  slots: Map<number, MutableNode[]>
  host: MutableNode | null
}

/** Builds the tree. Never throws on odd input: what does not fit becomes a root and a `damage` line. */
export function buildTopology(snapshot: HostSnapshot): Topology {
  const nodes = new Map<string, MutableNode>()
  const buses = new Map<string, MutableBus>()
  const damage: string[] = []
  for (const fn of snapshot.functions) {
    const at = parseAddress(fn.address)
    if (at === null) {
      damage.push(`"${fn.address}" is not a PCI address`)
      continue
    }
    const bus = busOf(buses, at)
    const isVirtual = fn.physicalFunction.known && fn.physicalFunction.value !== null
    const node: MutableNode = {
      address: fn.address,
      at,
      fn,
      parent: null,
      bus,
      children: [],
      isVirtual,
    }
    nodes.set(fn.address, node)
    bus.nodes.push(node)
    if (!isVirtual) enterSlot(bus, node)
  }
  for (const node of nodes.values()) linkToParent(node, nodes, damage)
  for (const hosted of snapshot.hostedBuses) {
    const bus = buses.get(hosted.bus)
    if (bus !== undefined) bus.host = nodes.get(hosted.host) ?? null
  }
  breakLoops(nodes, damage)
  return { nodes, buses, damage }
}

function busOf(buses: Map<string, MutableBus>, at: PciAddress): MutableBus {
  const name = formatBus(at.domain, at.bus)
  let bus = buses.get(name)
  if (bus === undefined) {
    bus = {
      name,
      domain: at.domain,
      number: at.bus,
      bridge: null,
      nodes: [],
      slots: new Map(),
      host: null,
    }
    buses.set(name, bus)
  }
  return bus
}

function enterSlot(bus: MutableBus, node: MutableNode): void {
  const mates = bus.slots.get(node.at.device)
  if (mates === undefined) bus.slots.set(node.at.device, [node])
  else mates.push(node)
}

function linkToParent(node: MutableNode, nodes: Map<string, MutableNode>, damage: string[]): void {
  const wanted = node.fn.parent
  if (wanted === null) return
  const parent = nodes.get(wanted)
  if (parent === undefined || parent === node) {
    damage.push(`${node.address}: its bridge ${wanted} is not among the devices`)
    return
  }
  node.parent = parent
  node.bus.bridge ??= parent
  parent.children.push(node)
}

/** A PCI domain has 256 buses, so no device lies deeper than that; only damaged input says so. */
const DEPTH_MAX = 256

/** A bridge cannot be above itself; damaged input could say so, and walks upward must end. */
function breakLoops(nodes: Map<string, MutableNode>, damage: string[]): void {
  const depths = new Map<MutableNode, number>()
  for (const start of nodes.values()) {
    const path: MutableNode[] = []
    const onPath = new Set<MutableNode>()
    let node: MutableNode | null = start
    while (node !== null && !depths.has(node)) {
      if (onPath.has(node)) {
        damage.push(`${node.address}: the bridges above it form a loop`)
        detach(node)
        break
      }
      onPath.add(node)
      path.push(node)
      node = node.parent
    }
    for (const member of path.reverse()) {
      let depth = member.parent === null ? 0 : (depths.get(member.parent) ?? 0) + 1
      if (depth > DEPTH_MAX) {
        damage.push(`${member.address}: more than ${String(DEPTH_MAX)} bridges above it`)
        detach(member)
        depth = 0
      }
      depths.set(member, depth)
    }
  }
}

function detach(node: MutableNode): void {
  const parent = node.parent
  if (parent === null) return
  parent.children = parent.children.filter((child) => child !== node)
  node.parent = null
  node.bus.bridge = null
}
