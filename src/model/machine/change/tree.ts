/**
 * A machine description as a tree that can be edited: functions hang below their bridges, and addresses
 * are given out again at the end, as firmware does when a changed machine starts.
 *
 *     description --plant--> tree --edit--> tree --harvest--> description
 */
import { fromHex, toHex } from '../../../base/hex-bytes.ts'
import { formatAddress, parseAddress } from '../../../pci/address.ts'
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { byPlace, isGapless, numberBuses } from './bus-numbers.ts'

export interface Root {
  readonly domain: number
  readonly bus: number
  readonly children: Branch[]
  /** Its buses were numbered depth first without gaps before any change. */
  wasGapless: boolean
}

/** One function with what is below it. */
export interface Branch {
  /** Everything but its place. */
  fn: FunctionDescription
  /** Its registers; edited in place. */
  config: Uint8Array
  /** Slot (0-31) and function (0-7) on its bus. */
  device: number
  function: number
  parent: Branch | null
  root: Root
  readonly children: Branch[]
  readonly isBridge: boolean
  /** Number of the bus behind a bridge; null = none, or firmware has to choose one. */
  secondary: number | null
  subordinate: number | null
  /** Address before the changes; null for an added function. */
  readonly original: string | null
}

export interface Tree {
  readonly roots: readonly Root[]
  readonly branches: Map<string, Branch>
}

function hasBus(config: Uint8Array): boolean {
  const type = (config[0x0e] ?? 0) & 0x7f
  return type === 1 || type === 2
}

/** @throws Error when a parent is missing: descriptions list bridges before what is below them */
export function plant(machine: MachineDescription): Tree {
  const roots: Root[] = []
  const branches = new Map<string, Branch>()
  for (const fn of machine.functions) {
    const at = parseAddress(fn.at)
    if (at === null) throw new Error(`${fn.at} is no address`)
    const parent = fn.parent === null ? null : (branches.get(fn.parent) ?? null)
    if (fn.parent !== null && parent === null) {
      throw new Error(`${fn.at} is listed before its bridge ${fn.parent}`)
    }
    const root = parent?.root ?? rootOf(roots, at.domain, at.bus)
    const branch = branchOf(fn, { root, parent, device: at.device, function: at.function })
    ;(parent ?? root).children.push(branch)
    branches.set(fn.at, branch)
  }
  for (const root of roots) root.wasGapless = isGapless(root)
  return { roots, branches }
}

function rootOf(roots: Root[], domain: number, bus: number): Root {
  const found = roots.find((root) => root.domain === domain && root.bus === bus)
  if (found !== undefined) return found
  const root: Root = { domain, bus, children: [], wasGapless: false }
  roots.push(root)
  return root
}

function branchOf(
  fn: FunctionDescription,
  place: Pick<Branch, 'root' | 'parent' | 'device' | 'function'>,
): Branch {
  const config = fromHex(fn.config)
  const bridge = hasBus(config)
  return {
    ...place,
    isBridge: bridge,
    fn,
    config,
    children: [],
    secondary: bridge ? (config[0x19] ?? 0) : null,
    subordinate: bridge ? (config[0x1a] ?? 0) : null,
    original: fn.at,
  }
}

/** A function that the machine did not have. Its place is given by `attach`. */
export function newBranch(fn: Omit<FunctionDescription, 'at' | 'parent'>, root: Root): Branch {
  const whole = { ...fn, at: '', parent: null }
  const branch = branchOf(whole, { root, parent: null, device: 0, function: 0 })
  return { ...branch, secondary: null, subordinate: null, original: null }
}

export function detach(branch: Branch): void {
  const siblings = (branch.parent ?? branch.root).children
  siblings.splice(siblings.indexOf(branch), 1)
}

/** A moved bridge gets its numbers anew, with all below it. */
function forgetNumbers(branch: Branch): void {
  branch.secondary = null
  branch.subordinate = null
  for (const child of branch.children) forgetNumbers(child)
}

export function attach(branch: Branch, below: Branch, device: number, fn: number): void {
  branch.parent = below
  branch.device = device
  branch.function = fn
  below.children.push(branch)
  forgetNumbers(branch)
  setRoot(branch, below.root)
}

function setRoot(branch: Branch, root: Root): void {
  branch.root = root
  for (const child of branch.children) setRoot(child, root)
}

/** Functions of the same slot, itself included. */
export function slotMates(branch: Branch): readonly Branch[] {
  const siblings = (branch.parent ?? branch.root).children
  return siblings.filter((mate) => mate.device === branch.device)
}

/** Below-first order does not matter to callers; the branch itself comes first. */
export function withDescendants(branch: Branch): readonly Branch[] {
  return [branch, ...branch.children.flatMap(withDescendants)]
}

export interface Harvest {
  readonly machine: MachineDescription
  /** New address by old one, for every function that is still there. */
  readonly addresses: ReadonlyMap<string, string>
}

/** Numbers the buses, writes them into the bridges, and lists the functions again. */
export function harvest(machine: MachineDescription, tree: Tree): Harvest {
  numberBuses(tree.roots)
  const functions: FunctionDescription[] = []
  const addresses = new Map<string, string>()
  const visit = (children: readonly Branch[], bus: number, parent: string | null): void => {
    for (const branch of [...children].sort(byPlace)) {
      const { device, function: fn, root } = branch
      const at = formatAddress({ domain: root.domain, bus, device, function: fn })
      if (branch.original !== null) addresses.set(branch.original, at)
      if (branch.secondary !== null) {
        branch.config[0x18] = bus
        branch.config[0x19] = branch.secondary
        branch.config[0x1a] = branch.subordinate ?? branch.secondary
      }
      functions.push({ ...branch.fn, at, parent, config: toHex(branch.config) })
      if (branch.secondary !== null) visit(branch.children, branch.secondary, at)
    }
  }
  for (const root of tree.roots) visit(root.children, root.bus, null)
  const follow = (at: string): string => addresses.get(at) ?? at
  return { machine: { ...renamed(machine, follow, addresses), functions }, addresses }
}

/** Everything else that names a function names it by its new address. */
function renamed(
  machine: MachineDescription,
  follow: (at: string) => string,
  kept: ReadonlyMap<string, string>,
): MachineDescription {
  const { iommu } = machine
  const hostedBuses = machine.hostedBuses
    .filter(({ host }) => kept.has(host))
    .map(({ bus, host }) => ({ bus, host: follow(host) }))
  if (iommu === null) return { ...machine, hostedBuses }
  return {
    ...machine,
    hostedBuses,
    iommu: {
      ...iommu,
      units: iommu.units.map((unit) => ({
        ...unit,
        scope: unit.scope === null ? null : unit.scope.filter((at) => kept.has(at)).map(follow),
      })),
      reserved: iommu.reserved
        .filter(({ at }) => kept.has(at))
        .map((region) => ({ ...region, at: follow(region.at) })),
      ...(iommu.partitions === undefined
        ? {}
        : {
            partitions: iommu.partitions.map(({ pe, functions }) => ({
              pe,
              functions: functions.filter((at) => kept.has(at)).map(follow),
            })),
          }),
    },
  }
}
