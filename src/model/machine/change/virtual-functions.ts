/** Virtual functions in changes: they have no place of their own, they come with their physical function. */
import { parseAddress } from '../../../pci/address.ts'
import { allBranches, type Branch, nameOf, type Tree } from './branch.ts'
import { Refusal } from './refusal.ts'
import { sriovFields } from './registers.ts'

/** @throws Refusal EINVAL (cannot make any), ERANGE (too many) */
export function setVirtualFunctions(tree: Tree, branch: Branch, count: number): void {
  const name = nameOf(branch)
  const total = sriovFields(branch.config)?.total
  if (total === undefined) {
    const able = allBranches(tree).filter(({ config }) => sriovFields(config) !== null)
    const next =
      able.length === 0
        ? 'no function of the machine has one; `add sriov-nic PORT` adds one that has'
        : `functions that have one: ${able.map(nameOf).join(' ')}`
    throw new Refusal('EINVAL', `${name} has no SR-IOV capability`, next)
  }
  if (count > total) {
    const why = `${name} can make ${String(total)} virtual functions, not ${String(count)}`
    throw new Refusal('ERANGE', why, `say 0 to ${String(total)}`)
  }
  const before = branch.fn.virtualFunctions ?? []
  const virtualFunctions = Array.from({ length: count }, (_, n) => before[n] ?? {})
  branch.fn = { ...branch.fn, virtualFunctions }
}

interface VirtualFunction {
  readonly physical: Branch
  readonly index: number
}

/**
 * Whose virtual function has the address: requester ids follow that of the physical function at an offset
 * and a stride (Single Root I/O Virtualization 2.1.2).
 */
export function virtualFunction(tree: Tree, address: string): VirtualFunction | undefined {
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
