/** Carries out changes on a machine description. */
import { Errno } from '../../errno.ts'
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { removeAcs, withAcs } from './acs-registers.ts'
import type { Change } from './change.ts'
import { capabilityOffset, sriovTotal } from './registers.ts'
import {
  attach,
  type Branch,
  busBehind,
  detach,
  harvest,
  newBranch,
  plant,
  slotMates,
  type Tree,
  withDescendants,
} from './tree.ts'

export interface ChangedMachine {
  readonly machine: MachineDescription
  /** New address by old one, of every function that is still there. */
  readonly addresses: ReadonlyMap<string, string>
  /** What a reader should know about how the changes were understood. */
  readonly notes: readonly string[]
}

/** Registers and behaviour of a device kind; undefined when there is none of the name. */
export type Templates = (kind: string) => Omit<FunctionDescription, 'at' | 'parent'> | undefined

/**
 * @throws Errno ENODEV (no such function), EINVAL (the change makes no sense there), ERANGE (too many virtual
 *   functions), ENOSPC (no free slot or bus number); the message names the change and says why
 */
export function applyChanges(
  machine: MachineDescription,
  changes: readonly Change[],
  templates: Templates,
): ChangedMachine {
  const tree = plant(machine)
  const notes: string[] = []
  let whole = machine
  for (const change of changes) whole = applyOne(whole, tree, change, templates, notes)
  return { ...harvest(whole, tree), notes }
}

function applyOne(
  machine: MachineDescription,
  tree: Tree,
  change: Change,
  templates: Templates,
  notes: string[],
): MachineDescription {
  switch (change.kind) {
    case 'acs':
      setAcs(find(tree, change.port), change.on, change.port)
      return machine
    case 'move':
      move(tree, change.device, change.port, notes)
      return machine
    case 'add':
      add(tree, change.what, change.port, templates)
      return machine
    case 'remove':
      remove(tree, change.device, notes)
      return machine
    case 'vfs':
      setVirtualFunctions(find(tree, change.device), change)
      return machine
    case 'bind':
      bind(find(tree, change.device), change.driver)
      return machine
    case 'kernel':
      return { ...machine, kernelRelease: change.version }
    case 'intremap':
      return withIommu(machine, { interruptRemapping: change.on })
    case 'iommu':
      return setIommu(machine, change.on)
  }
}

function find(tree: Tree, address: string): Branch {
  const branch = tree.branches.get(address)
  if (branch === undefined) throw new Errno('ENODEV', `${address} is not in the machine any more`)
  return branch
}

function findPort(tree: Tree, address: string): Branch {
  const port = find(tree, address)
  if (port.isBridge) return port
  throw new Errno('EINVAL', `${address} is no bridge or port: nothing can be plugged below it`)
}

function setAcs(port: Branch, on: boolean, address: string): void {
  if (!on) {
    if (removeAcs(port.config)) return
    throw new Errno('EINVAL', `${address} has no ACS capability to take away`)
  }
  const express = capabilityOffset(port.config, 0x10) !== 0
  const config = withAcs(port.config, express)
  if (config === null) {
    const why = express ? 'has no room for one' : 'is a conventional PCI device'
    throw new Errno('EINVAL', `${address} cannot get an ACS capability: it ${why}`)
  }
  port.config = config
}

function move(tree: Tree, device: string, to: string, notes: string[]): void {
  const branch = find(tree, device)
  const port = findPort(tree, to)
  const card = slotMates(branch)
  for (const fn of card) {
    if (withDescendants(fn).includes(port)) {
      throw new Errno('EINVAL', `${to} is part of what would be moved`)
    }
  }
  if (branch.parent === port) throw new Errno('EINVAL', `${device} is already below ${to}`)
  const slot = freeSlot(port, branch.device, to)
  const others = card.filter((fn) => fn !== branch).map((fn) => fn.original ?? 'a new function')
  if (others.length > 0) notes.push(`${device} moves with its card: ${others.join(' ')}`)
  for (const fn of card) {
    detach(fn)
    attach(fn, port, slot, fn.function)
  }
}

function add(tree: Tree, kind: string, to: string, templates: Templates): void {
  const port = findPort(tree, to)
  const template = templates(kind)
  if (template === undefined) throw new Errno('EINVAL', `there is no kind of device "${kind}"`)
  attach(newBranch(template, port.root), port, freeSlot(port, 0, to), 0)
}

function remove(tree: Tree, device: string, notes: string[]): void {
  const branch = find(tree, device)
  const left = slotMates(branch).filter((fn) => fn !== branch)
  if (branch.function === 0 && left.length > 0) {
    const names = left.map((fn) => fn.original ?? 'a new function').join(' ')
    notes.push(`without ${device}, function 0 of its slot, a kernel does not find ${names}`)
  }
  for (const gone of withDescendants(branch)) {
    if (gone.original !== null) tree.branches.delete(gone.original)
  }
  detach(branch)
}

/** PCI Express links have one slot; a conventional bus has 32, the first of which bridges keep. */
function freeSlot(port: Branch, wished: number, name: string): number {
  const taken = new Set(port.children.map((child) => child.device))
  const bus = conventionalBus(port) || isUpstreamPort(port)
  const places = bus ? [wished, ...Array.from({ length: 32 }, (_, n) => n)] : [0]
  const first = conventionalBus(port) ? 1 : 0
  const free = places.find((place) => place >= first && !taken.has(place))
  if (free !== undefined) return free
  throw new Errno('ENOSPC', `no slot is free below ${name} (bus ${busBehind(port)})`)
}

function portType(port: Branch): number | null {
  const offset = capabilityOffset(port.config, 0x10)
  return offset === 0 ? null : ((port.config[offset + 2] ?? 0) >> 4) & 0xf
}

/** Behind a conventional bridge, or a PCI Express to PCI one (type 7). */
function conventionalBus(port: Branch): boolean {
  const type = portType(port)
  return type === null || type === 7
}

/** The bus inside a switch: downstream ports sit there. */
function isUpstreamPort(port: Branch): boolean {
  return portType(port) === 5
}

function setVirtualFunctions(branch: Branch, change: { device: string; count: number }): void {
  const total = sriovTotal(branch.config)
  if (total === null) throw new Errno('EINVAL', `${change.device} has no SR-IOV capability`)
  if (change.count > total) {
    const why = `${change.device} can make ${String(total)} virtual functions, not ${String(change.count)}`
    throw new Errno('ERANGE', why)
  }
  const before = branch.fn.virtualFunctions ?? []
  const virtualFunctions = Array.from({ length: change.count }, (_, n) => before[n] ?? {})
  branch.fn = { ...branch.fn, virtualFunctions }
}

function bind(branch: Branch, driver: string | null): void {
  branch.fn = { ...branch.fn, driver }
}

function withIommu(
  machine: MachineDescription,
  change: Partial<NonNullable<MachineDescription['iommu']>>,
): MachineDescription {
  if (machine.iommu === null) {
    throw new Errno('EINVAL', 'the machine has no IOMMU in use: add iommu=on first')
  }
  return { ...machine, iommu: { ...machine.iommu, ...change } }
}

function setIommu(machine: MachineDescription, on: boolean): MachineDescription {
  if (!on) return { ...machine, iommu: null }
  if (machine.iommu !== null) return machine
  const amd = machine.cpu.vendor === 'AuthenticAMD'
  return {
    ...machine,
    iommu: {
      kind: amd ? 'amd' : 'intel',
      interruptRemapping: true,
      units: [{ name: amd ? 'ivhd0' : 'dmar0', attributes: {}, scope: null }],
      defaultDomain: 'DMA-FQ',
      reserved: [],
    },
  }
}
