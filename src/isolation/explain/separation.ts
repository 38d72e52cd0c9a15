/**
 * What keeps a device from the rest of the machine: the first element above its group that isolates,
 * or, where nothing but the root bus is above, its own standing there.
 */
import type { AcsTable } from '../groups/acs.ts'
import { slotMates } from '../groups/port-type.ts'
import type { Node } from '../topology/topology.ts'
import type { Separation } from './explanation.ts'

/**
 * @param members the predicted group of the device
 * @param other the device it is kept from; null for everything else
 */
export function separationOf(
  node: Node,
  members: ReadonlySet<string>,
  other: Node | null,
  acs: AcsTable,
): Separation {
  const top = topOfGroup(node, members)
  const device = node.address
  const mate = slotMates(top).find(
    (it) => !members.has(it.address) && (other === null || isAbove(it, other)),
  )
  if (mate !== undefined) return bySlot(device, top, mate, acs)
  if (top.parent === null) return byRootBus(device, top)
  return byPath(device, top, top.parent, acs)
}

/** The highest device that belongs to the group, going up from one of its members. */
function topOfGroup(node: Node, members: ReadonlySet<string>): Node {
  let top = node
  for (;;) {
    const above = top.parent ?? top.bus.host
    if (above === null || !members.has(above.address)) return top
    top = above
  }
}

function isAbove(node: Node, lower: Node): boolean {
  for (let at: Node | null = lower; at !== null; at = at.parent) if (at === node) return true
  return false
}

function bySlot(device: string, top: Node, mate: Node, acs: AcsTable): Separation {
  const own = acs.verdict(top)
  const by = own.verdict === 'yes' ? top : mate
  const verdict = acs.verdict(by)
  return {
    device,
    by: by.address,
    reason: `${by.address} shares a slot with ${by === top ? mate.address : top.address}, but ${verdict.reason}`,
    evidence: verdict.evidence.map((line) => `${by.address}: ${line}`),
  }
}

function byRootBus(device: string, top: Node): Separation {
  const subject = device === top.address ? device : `${top.address}, the top of its group,`
  return {
    device,
    by: top.address,
    reason: `${subject} sits on root bus ${top.bus.name}: its requests go straight to the IOMMU`,
    evidence: [`${top.address}: no bridge above it`],
  }
}

function byPath(device: string, top: Node, parent: Node, acs: AcsTable): Separation {
  const path: Node[] = []
  for (let at: Node | null = parent; at !== null; at = at.parent) path.push(at)
  const way =
    path.length === 1
      ? `${parent.address} above ${top.address} isolates`
      : `every bridge from ${parent.address} up to the root isolates`
  return {
    device,
    by: parent.address,
    reason: `${way}: requests reach the IOMMU before they reach a neighbour`,
    evidence: path.map((node) => {
      const { reason, evidence } = acs.verdict(node)
      return `${node.address}: ${reason} (${evidence.join(', ')})`
    }),
  }
}
