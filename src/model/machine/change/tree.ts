/**
 * A machine description as a tree that can be edited: functions hang below their bridges, and addresses
 * are given out again at the end, as firmware does when a changed machine starts.
 *
 *     description --plant--> tree --edit--> tree --harvest--> description
 */
import { fromHex, toHex } from '../../../base/hex-bytes.ts'
import { formatAddress, parseAddress } from '../../../pci/address.ts'
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { type Branch, isRoot, type Place, type Root, type Tree } from './branch.ts'
import { byPlace, isGapless, numberBuses } from './bus-numbers.ts'
import { renamedWiring } from './wiring.ts'

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
    name: fn.at,
    isMoved: false,
  }
}

/** A function that the machine did not have. Its place is given by `attach`. */
export function newBranch(
  fn: Omit<FunctionDescription, 'at' | 'parent'>,
  root: Root,
  name: string,
): Branch {
  const whole = { ...fn, at: '', parent: null }
  const branch = branchOf(whole, { root, parent: null, device: 0, function: 0 })
  return { ...branch, secondary: null, subordinate: null, original: null, name }
}

export function detach(branch: Branch): void {
  const siblings = (branch.parent ?? branch.root).children
  siblings.splice(siblings.indexOf(branch), 1)
}

export function attach(branch: Branch, below: Place, device: number, fn: number): void {
  branch.parent = isRoot(below) ? null : below
  branch.device = device
  branch.function = fn
  below.children.push(branch)
  wireAnew(branch, isRoot(below) ? below : below.root)
}

/** A moved bridge gets its numbers anew, with all below it. */
function wireAnew(branch: Branch, root: Root): void {
  branch.secondary = null
  branch.subordinate = null
  branch.isMoved = true
  branch.root = root
  for (const child of branch.children) wireAnew(child, root)
}

/** Functions of the same slot, itself included. */
export function slotMates(branch: Branch): readonly Branch[] {
  const siblings = (branch.parent ?? branch.root).children
  return siblings.filter((mate) => mate.device === branch.device)
}

export interface Harvest {
  readonly machine: MachineDescription
  /** New address by old one, for every function that is still there. */
  readonly addresses: ReadonlyMap<string, string>
  /** Address of every added function, by name ("new1"). */
  readonly added: ReadonlyMap<string, string>
  /** Addresses of the functions that were added or have another place than before. */
  readonly moved: readonly string[]
}

/** Numbers the buses, writes them into the bridges, and lists the functions again. @throws Refusal ENOSPC */
export function harvest(machine: MachineDescription, tree: Tree): Harvest {
  numberBuses(tree.roots)
  const functions: FunctionDescription[] = []
  const addresses = new Map<string, string>()
  const added = new Map<string, string>()
  const moved: string[] = []
  const visit = (children: readonly Branch[], bus: number, parent: string | null): void => {
    for (const branch of [...children].sort(byPlace)) {
      const { device, function: fn, root, original } = branch
      const at = formatAddress({ domain: root.domain, bus, device, function: fn })
      if (original === null) added.set(branch.name, at)
      else addresses.set(original, at)
      if (branch.isMoved) moved.push(at)
      if (branch.secondary !== null) {
        branch.config[0x18] = bus
        branch.config[0x19] = branch.secondary
        branch.config[0x1a] = branch.subordinate ?? branch.secondary
      }
      const config = toHex(branch.config)
      // Thousands of functions of one kind share one text as long as nothing is changed.
      const same = config === branch.fn.config
      functions.push({ ...branch.fn, at, parent, config: same ? branch.fn.config : config })
      if (branch.secondary !== null) visit(branch.children, branch.secondary, at)
    }
  }
  for (const root of tree.roots) visit(root.children, root.bus, null)
  const hostedBuses = machine.hostedBuses
    .filter(({ host }) => addresses.has(host))
    .map(({ bus, host }) => ({ bus, host: addresses.get(host) ?? host }))
  const iommu = machine.iommu === null ? null : renamedWiring(machine.iommu, addresses)
  return { machine: { ...machine, hostedBuses, iommu, functions }, addresses, added, moved }
}
