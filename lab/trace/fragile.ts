/**
 * What a trace must not do because a kernel does not survive it.
 *
 * Linux 6.1 with VT-d: functions behind a PCIe-to-PCI bridge share a requester id. When one of them goes, the
 * context entry of that id goes with it (domain_context_clear), although the others still need it. The
 * next change of their domain takes them for not attached (domain_context_mapped), adds them to the new
 * domain's list without taking them off the old one's (intel_iommu_attach_device), and the list check then
 * stops the kernel. A function that comes to the bus brings the entry back.
 */
import { GROUP_REQUEST } from '../../src/kernel/abi/vfio.ts'
import type { Operation } from './operation.ts'
import type { World } from './world.ts'

/** The step itself, or another one instead of it; nothing when there is none that could be done now. */
export function survivable(world: World, operation: Operation): Operation | undefined {
  const { sharedBus } = world.universe
  const group = world.value(sharedBus.bridge, 'group')
  if (!world.fragile || group === undefined) return operation
  const path = `/dev/vfio/${group}`
  const isClaim = operation.kind === 'ioctl' && operation.request === GROUP_REQUEST.setContainer
  if (isClaim && world.entryLost && world.performer.file(operation.on)?.name === path) {
    return restoring(world)
  }
  return removes(world, operation) && world.isClaimed(group) ? undefined : operation
}

/** A step that lets a function come to the bus. */
function restoring(world: World): Operation {
  const { newcomer } = world.universe.sharedBus
  if (!world.plugged.has(newcomer)) return { kind: 'plug', newcomer }
  return { kind: 'write', path: '/sys/bus/pci/rescan', text: '1' }
}

/** Whether a step would take a function from the bus. */
function removes({ universe }: World, operation: Operation): boolean {
  const { bridge, newcomer } = universe.sharedBus
  if (operation.kind === 'unplug') return operation.newcomer === newcomer
  if (operation.kind !== 'write' && operation.kind !== 'blocked-write') return false
  const [, address = ''] = /^\/sys\/bus\/pci\/devices\/([^/]+)\/remove$/.exec(operation.path) ?? []
  return address === bridge || universe.above[address] === bridge
}
