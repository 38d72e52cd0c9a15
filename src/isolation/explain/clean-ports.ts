/** Where a card could go instead: ports from which every bridge up to the root isolates. */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { AcsTable } from '../groups/acs.ts'
import { portType } from '../groups/port-type.ts'
import type { Node, Topology } from '../topology/topology.ts'

export interface CleanPort {
  readonly port: string
  /** What is behind it now; empty where it is free. */
  readonly behind: readonly string[]
}

/** Free ports first, then in order of address. Whether a port is wired to a slot, only the board's manual tells. */
export function cleanPorts(topology: Topology, acs: AcsTable): readonly CleanPort[] {
  const ports: CleanPort[] = []
  for (const node of topology.nodes.values()) {
    if (!isPort(node) || acs.failing(node) !== null || isHosted(node)) continue
    ports.push({ port: node.address, behind: node.children.map((child) => child.address) })
  }
  const isTaken = (port: CleanPort): number => Number(port.behind.length > 0)
  return ports.sort((a, b) => isTaken(a) - isTaken(b))
}

/** A root port or a switch's downstream port: what a slot can hang on. */
export function isPort(node: Node): boolean {
  const type = portType(node)
  return (
    type.known && (type.value === PCIE_TYPE.rootPort || type.value === PCIE_TYPE.downstreamPort)
  )
}

/** Ports of a hosted domain (Intel VMD) are clean for nobody: the host issues the DMA of all of them. */
function isHosted(node: Node): boolean {
  let top = node
  while (top.parent !== null) top = top.parent
  return top.bus.host !== null
}
