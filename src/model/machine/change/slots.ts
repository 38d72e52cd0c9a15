/** Where a device can be plugged in: which places of the bus behind a bridge are free. */
import { Errno } from '../../errno.ts'
import { capabilityOffset } from './registers.ts'
import { type Branch, type Tree, withDescendants } from './tree.ts'

const SLOTS = 32
const EXPRESS = 0x10
/** Device/port types of the PCI Express capability (PCI Express Base Specification 7.5.3.2). */
const UPSTREAM_PORT = 5
const PCIE_TO_PCI = 7

/** @param wished slot that is taken when it is free @throws Errno ENOSPC, saying what is there and where room is */
export function freeSlot(tree: Tree, port: Branch, wished: number, name: string): number {
  const free = slotIn(port, wished)
  if (free !== undefined) return free
  const there = port.children.map(nameOf).join(' ')
  throw new Errno('ENOSPC', `no slot is free below ${name}, which has ${there}; ${roomText(tree)}`)
}

/** "there is room below 0000:00:02.0", for messages. */
export function roomText(tree: Tree): string {
  const all = tree.roots.flatMap((root) => root.children.flatMap(withDescendants))
  const roomy = all.filter((branch) => branch.isBridge && slotIn(branch, 0) !== undefined)
  if (roomy.length === 0) return 'no port of the machine has room'
  return `there is room below ${roomy.map(nameOf).join(' ')}`
}

export function nameOf(branch: Branch): string {
  return branch.original ?? 'a new device'
}

/** PCI Express links have one slot; a conventional bus has 32, the first of which bridges keep. */
function slotIn(port: Branch, wished: number): number | undefined {
  const taken = new Set(port.children.map((child) => child.device))
  const type = portType(port)
  const conventional = type === null || type === PCIE_TO_PCI
  // The bus inside a switch is one of 32 slots as well: downstream ports sit there.
  const places =
    conventional || type === UPSTREAM_PORT
      ? [wished, ...Array.from({ length: SLOTS }, (_, n) => n)]
      : [0]
  const first = conventional ? 1 : 0
  return places.find((place) => place >= first && !taken.has(place))
}

function portType(port: Branch): number | null {
  const offset = capabilityOffset(port.config, EXPRESS)
  return offset === 0 ? null : ((port.config[offset + 2] ?? 0) >> 4) & 0xf
}
