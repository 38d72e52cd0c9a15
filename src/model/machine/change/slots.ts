/** Where a device can be plugged in: which places of the bus behind a bridge are free. */
import { allBranches, isRoot, nameOf, type Place, type Tree } from './branch.ts'
import { Refusal } from './refusal.ts'
import { capabilityOffset } from './registers.ts'

const SLOTS = 32
/** Ports that a message names. */
const PORTS_MAX = 8
const EXPRESS = 0x10
/** Device/port types of the PCI Express capability (PCI Express Base Specification 7.5.3.2). */
const UPSTREAM_PORT = 5
const PCIE_TO_PCI = 7

/** @param wished slot that is taken when it is free @throws Refusal ENOSPC, saying what is there and where room is */
export function freeSlot(tree: Tree, place: Place, wished: number): number {
  const free = slotIn(place, wished)
  if (free !== undefined) return free
  const there = place.children.map(nameOf).join(' ')
  const why = `no slot is free below ${nameOf(place)}, which has ${there}`
  const first = place.children[0]
  const removal =
    first === undefined ? '' : `, or say \`remove ${nameOf(first)}\` before this change`
  throw new Refusal('ENOSPC', why, `${roomText(tree)}${removal}`)
}

/** "there is room below 0000:00:02.0", for messages. */
export function roomText(tree: Tree): string {
  const roomy = allBranches(tree).filter(
    (branch) => branch.isBridge && slotIn(branch, 0) !== undefined,
  )
  const roots = tree.roots.filter((root) => slotIn(root, 0) !== undefined)
  if (roomy.length === 0 && roots.length === 0) return 'no port of the machine has room'
  const buses = roots.length === 0 ? '' : `on root bus ${roots.map(nameOf).join(' ')}`
  if (roomy.length === 0) return `no port has room; there is room ${buses}`
  const ports = roomy.slice(0, PORTS_MAX).map(nameOf).join(' ')
  const rest = roomy.length - PORTS_MAX
  const more = rest > 0 ? ` and ${String(rest)} more ports` : ''
  return `there is room below ${ports}${more}${buses === '' ? '' : `, and ${buses}`}`
}

/** PCI Express links have one slot; a conventional bus has 32, the first of which bridges keep. */
function slotIn(place: Place, wished: number): number | undefined {
  const taken = new Set(place.children.map((child) => child.device))
  const all = [wished, ...Array.from({ length: SLOTS }, (_, n) => n)]
  if (isRoot(place)) return all.find((slot) => !taken.has(slot))
  const offset = capabilityOffset(place.config, EXPRESS)
  const type = offset === 0 ? null : ((place.config[offset + 2] ?? 0) >> 4) & 0xf
  if (type === null || type === PCIE_TO_PCI) return all.find((slot) => slot > 0 && !taken.has(slot))
  // The bus inside a switch is one of 32 slots as well: downstream ports sit there.
  return (type === UPSTREAM_PORT ? all : [0]).find((slot) => !taken.has(slot))
}
