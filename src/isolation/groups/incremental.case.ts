/**
 * A second, independent formulation of grouping for tests: device after device in registration
 * order, first group found wins, as pci_device_group (drivers/iommu/iommu.c) does it. It takes plain
 * answers (does it isolate, is it flagged multifunction, which ids does it use) and shares no code
 * with predict.ts, which derives the partition at once.
 */
export interface Fn {
  readonly address: string
  readonly parent: Fn | null
  readonly bus: string
  readonly slot: number
  readonly fn: number
  readonly isolates: boolean
  readonly multifunction: boolean
  /** conventional or type 7/8 bridge: its id stands for everything behind it */
  readonly rewrites: boolean
  readonly virtual: boolean
  /** devfns it may use beside its own */
  readonly aliases: readonly number[]
  readonly dmaHost: Fn | null
}

/** Group number by address; devices in the order given. */
export function groupIncrementally(devices: readonly Fn[]): Map<string, number> {
  const groups = new Map<string, number>()
  let next = 0
  for (const device of devices) {
    groups.set(device.address, findGroup(device, devices, groups) ?? next++)
  }
  return groups
}

function findGroup(
  device: Fn,
  all: readonly Fn[],
  groups: ReadonlyMap<string, number>,
): number | null {
  let top = device
  while (top.parent !== null) top = top.parent
  const start = device.dmaHost ?? top.dmaHost ?? device
  let current = start
  const visited = [start, ...rewritersAbove(start)]
  for (const seen of visited) {
    const group = groups.get(seen.address)
    if (group !== undefined) return group
    current = seen
  }
  for (let bridge = current.parent; bridge !== null; bridge = bridge.parent) {
    if (pathIsolates(bridge)) break
    current = bridge
    const group = groups.get(bridge.address)
    if (group !== undefined) return group
  }
  const seen = new Set<Fn>()
  return aliasGroup(current, all, groups, seen) ?? slotGroup(current, all, groups, seen)
}

function rewritersAbove(device: Fn): Fn[] {
  const found: Fn[] = []
  for (let bridge = device.parent; bridge !== null; bridge = bridge.parent) {
    if (bridge.rewrites) found.push(bridge)
  }
  return found
}

function pathIsolates(bridge: Fn): boolean {
  for (let at: Fn | null = bridge; at !== null; at = at.parent) if (!at.isolates) return false
  return true
}

function devfn(device: Fn): number {
  return device.slot * 8 + device.fn
}

function aliasGroup(
  device: Fn,
  all: readonly Fn[],
  groups: ReadonlyMap<string, number>,
  seen: Set<Fn>,
): number | null {
  if (seen.has(device)) return null
  seen.add(device)
  const own = groups.get(device.address)
  if (own !== undefined) return own
  for (const other of all) {
    if (other === device || other.bus !== device.bus) continue
    if (!other.aliases.includes(devfn(device)) && !device.aliases.includes(devfn(other))) continue
    const group = aliasGroup(other, all, groups, seen) ?? slotGroup(other, all, groups, seen)
    if (group !== null) return group
  }
  return null
}

function slotGroup(
  device: Fn,
  all: readonly Fn[],
  groups: ReadonlyMap<string, number>,
  seen: Set<Fn>,
): number | null {
  if (!device.multifunction || device.isolates) return null
  for (const other of all) {
    if (other === device || other.bus !== device.bus || other.slot !== device.slot) continue
    if (other.isolates) continue
    const group = aliasGroup(other, all, groups, seen)
    if (group !== null) return group
  }
  return null
}
