/** Carries out changes on a machine description. */
import { parseAddress } from '../../../pci/address.ts'
import { Errno } from '../../errno.ts'
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { hasAcs, removeAcs, withAcs } from './acs-registers.ts'
import type { Change } from './change.ts'
import { capabilityOffset, sriovFields } from './registers.ts'
import { freeSlot, nameOf, roomText } from './slots.ts'
import {
  attach,
  type Branch,
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
      setAcs(find(tree, change.port), change, notes)
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
      bind(tree, change.device, change.driver)
      return machine
    case 'kernel':
      return { ...machine, kernelRelease: change.version }
    case 'intremap':
      return setRemapping(machine, change.on, notes)
    case 'iommu':
      return setIommu(machine, change.on, notes)
  }
}

function find(tree: Tree, address: string): Branch {
  const branch = tree.branches.get(address)
  if (branch !== undefined) return branch
  const physical = virtualFunction(tree, address)?.physical
  if (physical === undefined) {
    throw new Errno('ENODEV', `${address} is not in the machine any more`)
  }
  const of = nameOf(physical)
  throw new Errno('EINVAL', `${address} is a virtual function: change ${of}, whose function it is`)
}

function findPort(tree: Tree, address: string): Branch {
  const port = find(tree, address)
  if (port.isBridge) return port
  const why = `${address} is no bridge or port: nothing can be plugged below it`
  throw new Errno('EINVAL', `${why}; ${roomText(tree)}`)
}

function setAcs(
  port: Branch,
  { on, port: address }: { readonly on: boolean; readonly port: string },
  notes: string[],
): void {
  if (!on) {
    if (removeAcs(port.config)) return
    throw new Errno('EINVAL', `${address} has no ACS capability to take away`)
  }
  if (hasAcs(port.config)) {
    notes.push(`${address} implements all of ACS that isolation needs already`)
    return
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
  const slot = freeSlot(tree, port, branch.device, to)
  const others = card.filter((fn) => fn !== branch).map(nameOf)
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
  attach(newBranch(template, port.root), port, freeSlot(tree, port, 0, to), 0)
}

function remove(tree: Tree, device: string, notes: string[]): void {
  const branch = find(tree, device)
  const left = slotMates(branch).filter((fn) => fn !== branch)
  if (branch.function === 0 && left.length > 0) {
    const names = left.map(nameOf).join(' ')
    notes.push(`without ${device}, function 0 of its slot, a kernel does not find ${names}`)
  }
  for (const gone of withDescendants(branch)) {
    if (gone.original !== null) tree.branches.delete(gone.original)
  }
  detach(branch)
}

function setVirtualFunctions(branch: Branch, change: { device: string; count: number }): void {
  const total = sriovFields(branch.config)?.total
  if (total === undefined) throw new Errno('EINVAL', `${change.device} has no SR-IOV capability`)
  if (change.count > total) {
    const why = `${change.device} can make ${String(total)} virtual functions, not ${String(change.count)}`
    throw new Errno('ERANGE', why)
  }
  const before = branch.fn.virtualFunctions ?? []
  const virtualFunctions = Array.from({ length: change.count }, (_, n) => before[n] ?? {})
  branch.fn = { ...branch.fn, virtualFunctions }
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

interface VirtualFunction {
  readonly physical: Branch
  readonly index: number
}

/**
 * Whose virtual function has the address: requester ids follow that of the physical function at an offset
 * and a stride (Single Root I/O Virtualization 2.1.2).
 */
function virtualFunction(tree: Tree, address: string): VirtualFunction | undefined {
  const at = requesterId(address)
  for (const physical of tree.branches.values()) {
    const own = requesterId(physical.original ?? '')
    const fields = sriovFields(physical.config)
    if (at === null || own?.domain !== at.domain || fields === null) continue
    const index = (at.id - own.id - fields.offset) / Math.max(1, fields.stride)
    if (index >= 0 && index < (physical.fn.virtualFunctions ?? []).length) {
      if (Number.isInteger(index)) return { physical, index }
    }
  }
  return undefined
}

function requesterId(address: string): { readonly domain: number; readonly id: number } | null {
  const at = parseAddress(address)
  if (at === null) return null
  return { domain: at.domain, id: at.bus * 256 + at.device * 8 + at.function }
}

function setRemapping(
  machine: MachineDescription,
  on: boolean,
  notes: string[],
): MachineDescription {
  const { iommu } = machine
  if (iommu === null) {
    throw new Errno('EINVAL', 'the machine has no IOMMU in use, so it remaps nothing')
  }
  if (iommu.interruptRemapping === on) notes.push(`interrupt remapping is ${onOff(on)} already`)
  return { ...machine, iommu: { ...iommu, interruptRemapping: on } }
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off'
}

function setIommu(machine: MachineDescription, on: boolean, notes: string[]): MachineDescription {
  if (on === (machine.iommu !== null)) {
    const kind = machine.iommu === null ? '' : ` (${machine.iommu.kind})`
    notes.push(`the IOMMU${kind} is ${onOff(on)} already`)
    return machine
  }
  if (!on) return { ...machine, iommu: null }
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
    acpiTables: [...new Set([...machine.acpiTables, amd ? 'IVRS' : 'DMAR'])].sort(),
  }
}
