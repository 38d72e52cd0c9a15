/** Carries out changes on a machine description. */
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { hasAcs, removeAcs, withAcs } from './acs-registers.ts'
import {
  allBranches,
  type Branch,
  nameOf,
  type Place,
  type Tree,
  withDescendants,
} from './branch.ts'
import type { Change } from './change.ts'
import { Refusal } from './refusal.ts'
import { capabilityOffset } from './registers.ts'
import { freeSlot, roomText } from './slots.ts'
import { attach, detach, type Harvest, harvest, newBranch, plant, slotMates } from './tree.ts'
import { setVirtualFunctions, virtualFunction } from './virtual-functions.ts'
import { setIommu, setKernel, setRemapping } from './whole-machine.ts'
import { rewired } from './wiring.ts'

export interface ChangedMachine extends Harvest {
  /** What a reader should know about how the changes were understood. */
  readonly notes: readonly string[]
}

/** Registers and behaviour of a device kind; undefined when there is none of the name. */
export type Templates = (kind: string) => Omit<FunctionDescription, 'at' | 'parent'> | undefined

/** A change is under way: the tree is edited, notes are collected. */
interface Work {
  readonly tree: Tree
  readonly templates: Templates
  readonly notes: string[]
  added: number
}

/**
 * @throws Refusal ENODEV (no such function), EINVAL (the change makes no sense there), ERANGE (too many virtual
 *   functions), ENOSPC (no free slot or bus number)
 */
export function applyChanges(
  machine: MachineDescription,
  changes: readonly Change[],
  templates: Templates,
): ChangedMachine {
  const work: Work = { tree: plant(machine), templates, notes: [], added: 0 }
  let whole = machine
  for (const change of changes) whole = applyOne(whole, change, work)
  const harvested = harvest(whole, work.tree)
  const { iommu, functions } = harvested.machine
  const wired = iommu === null ? null : rewired(iommu, harvested.moved, functions)
  const fresh = { ...harvested.machine, iommu: wired }
  return { ...harvested, machine: fresh, notes: work.notes }
}

function applyOne(machine: MachineDescription, change: Change, work: Work): MachineDescription {
  switch (change.kind) {
    case 'acs':
      setAcs(work, change.port, change.on)
      return machine
    case 'move':
      move(work, change.device, change.port)
      return machine
    case 'add':
      add(work, change.what, change.port)
      return machine
    case 'remove':
      remove(work, change.device)
      return machine
    case 'vfs':
      setVirtualFunctions(work.tree, find(work.tree, change.device), change.count)
      return machine
    case 'bind':
      bind(work.tree, change.device, change.driver)
      return machine
    case 'kernel':
      return setKernel(machine, change.version, work.notes)
    case 'intremap':
      return setRemapping(machine, change.on, work.notes)
    case 'iommu':
      return setIommu(machine, change.on, work.notes)
  }
}

function find(tree: Tree, name: string): Branch {
  const branch = tree.branches.get(name)
  if (branch !== undefined) return branch
  const physical = virtualFunction(tree, name)?.physical
  if (physical === undefined) {
    const next = 'say its changes before the one that removes it'
    throw new Refusal('ENODEV', `${name} is not in the machine any more`, next)
  }
  const of = nameOf(physical)
  const next = `change ${of}, whose function it is`
  throw new Refusal('EINVAL', `${name} is a virtual function and has no place of its own`, next)
}

function findPlace(tree: Tree, name: string): Place {
  const root = tree.roots.find((one) => nameOf(one) === name)
  if (root !== undefined) return root
  const port = find(tree, name)
  if (port.isBridge) return port
  const why = `${name} is no bridge or port: nothing can be plugged below it`
  throw new Refusal('EINVAL', why, roomText(tree))
}

function setAcs({ tree, notes }: Work, address: string, on: boolean): void {
  const port = find(tree, address)
  if (!on) {
    if (removeAcs(port.config)) return
    const able = allBranches(tree).filter(({ config }) => hasAcs(config))
    const next =
      able.length === 0
        ? 'no function of the machine has one'
        : `functions that have one: ${able.map(nameOf).join(' ')}`
    throw new Refusal('EINVAL', `${address} has no ACS capability to take away`, next)
  }
  if (hasAcs(port.config)) {
    notes.push(`${address} implements all of ACS that isolation needs already`)
    return
  }
  const express = capabilityOffset(port.config, 0x10) !== 0
  const config = withAcs(port.config, express)
  if (config === null) {
    const why = express ? 'its registers have no room for one' : 'it is a conventional PCI device'
    const next = 'name a PCI Express port; `isogroup explain DEVICE` says which one decides'
    throw new Refusal('EINVAL', `${address} cannot get an ACS capability: ${why}`, next)
  }
  port.config = config
}

function move({ tree, notes }: Work, device: string, to: string): void {
  const branch = find(tree, device)
  const place = findPlace(tree, to)
  const card = slotMates(branch)
  if (card.some((fn) => withDescendants(fn).some((one) => one === place))) {
    throw new Refusal('EINVAL', `${to} is part of what would be moved`, roomText(tree))
  }
  if ((branch.parent ?? branch.root) === place) {
    throw new Refusal('EINVAL', `${device} is already below ${to}`, roomText(tree))
  }
  const slot = freeSlot(tree, place, branch.device)
  const others = card.filter((fn) => fn !== branch).map(nameOf)
  if (others.length > 0) notes.push(`${device} moves with its card: ${others.join(' ')}`)
  for (const fn of card) {
    detach(fn)
    attach(fn, place, slot, fn.function)
  }
}

function add(work: Work, kind: string, to: string): void {
  const { tree } = work
  const place = findPlace(tree, to)
  const template = work.templates(kind)
  if (template === undefined) {
    throw new Refusal('EINVAL', `there is no kind of device "${kind}"`, 'name another kind')
  }
  work.added += 1
  const name = `new${String(work.added)}`
  const root = 'root' in place ? place.root : place
  const branch = newBranch(template, root, name)
  attach(branch, place, freeSlot(tree, place, 0), 0)
  tree.branches.set(name, branch)
}

function remove({ tree, notes }: Work, device: string): void {
  const branch = find(tree, device)
  const left = slotMates(branch).filter((fn) => fn !== branch)
  if (branch.function === 0 && left.length > 0) {
    const names = left.map(nameOf).join(' ')
    notes.push(`without ${device}, function 0 of its slot, a kernel does not find ${names}`)
  }
  for (const gone of withDescendants(branch)) tree.branches.delete(gone.name)
  detach(branch)
}

function bind(tree: Tree, address: string, driver: string | null): void {
  const virtual = tree.branches.has(address) ? undefined : virtualFunction(tree, address)
  if (virtual === undefined) {
    const branch = find(tree, address)
    branch.fn = { ...branch.fn, driver }
    return
  }
  const { physical, index } = virtual
  const before = physical.fn.virtualFunctions ?? []
  const virtualFunctions = before.map((one, n) => (n === index ? { driver } : one))
  physical.fn = { ...physical.fn, virtualFunctions }
}
