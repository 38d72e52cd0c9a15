/**
 * Hot plug as people do it: a card goes into a slot or comes out, and only then the kernel hears of it,
 * from the port above (drivers/pci/hotplug/pciehp_ctrl.c).
 */
import { assert } from '../../base/assert.ts'
import { parseAddress } from '../../pci/address.ts'
import { Errno } from '../errno.ts'
import { createFunction, type DeviceTemplate } from '../hardware/devices/catalogue.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { HardwareBus } from '../hardware/slots.ts'
import type { Task } from '../task.ts'
import type { KernelParts } from './kernel-parts.ts'

/** A function as hardware, or as what a description says of it. */
export type Added = HardwareFunction | DeviceTemplate

/** @throws Errno ENODEV no such bridge or bus; EBUSY the place is taken */
export function* hotAdd(
  parts: KernelParts,
  added: Added,
  above: string,
  devfn: number,
): Task<void> {
  const bus = busAt(parts, above)
  if (bus.functions.has(devfn)) throw new Errno('EBUSY', 'something is in the slot')
  parts.slots.plug(hardwareOf(parts, added, above, devfn), bus, devfn)
  yield* parts.pci.hotPlugged(bus)
}

/** @throws Errno ENODEV */
export function* hotRemove(parts: KernelParts, address: string): Task<void> {
  const device = parts.pci.device(address)
  if (device === undefined) throw new Errno('ENODEV', address)
  parts.slots.unplug(device.hardware)
  yield* parts.pci.hotUnplugged(device)
}

function busAt({ slots, pci }: KernelParts, above: string): HardwareBus {
  const root = slots.roots.get(above)
  if (root !== undefined) return root
  const bridge = pci.device(above)
  if (bridge === undefined) throw new Errno('ENODEV', above)
  return slots.below(bridge.hardware)
}

function hardwareOf(
  parts: KernelParts,
  added: Added,
  above: string,
  devfn: number,
): HardwareFunction {
  if (typeof added.config !== 'string') return added as HardwareFunction
  const description = { ...(added as DeviceTemplate), at: '', parent: null }
  void parts
  void above
  void devfn
  return createFunction(description, parts.cabling)
}
