/**
 * Hot plug as people do it: a card goes into a slot or comes out, and only then the kernel hears of it,
 * from the port above (drivers/pci/hotplug/pciehp_ctrl.c).
 */
import { formatAddress } from '../../pci/address.ts'
import { Errno } from '../errno.ts'
import { createFunction, type DeviceTemplate } from '../hardware/devices/catalogue.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { HardwareBus } from '../hardware/slots.ts'
import type { Task } from '../task.ts'
import type { KernelParts } from './kernel-parts.ts'

/** A function as hardware, or as what a description says of it. */
export type Added = HardwareFunction | DeviceTemplate

/**
 * @param added a function, or those of a card, which take successive numbers
 * @param above address of a bridge, or name of a root bus ("0000:00")
 * @throws Errno ENODEV no such bridge or bus; EBUSY the place is taken
 */
export function* hotAdd(
  parts: KernelParts,
  added: Added | readonly Added[],
  above: string,
  devfn: number,
): Task<void> {
  const { slots, pci } = parts
  const wires = slots.roots.get(above) ?? wiresBehind(parts, above)
  const bus = pci.busOf(wires)
  if (bus === undefined) throw new Errno('ENODEV', `${above} has no bus`)
  const card = isList(added) ? added : [added]
  if (card.some((_fn, n) => wires.functions.has(devfn + n))) {
    throw new Errno('EBUSY', 'something is in the slot')
  }
  // All of the card is there before the kernel looks.
  card.forEach((fn, n) => {
    const { domain, number } = bus
    const at = { domain, bus: number, device: devfn >> 3, function: (devfn & 7) + n }
    slots.plug(hardwareOf(parts, fn, formatAddress(at)), wires, devfn + n)
  })
  yield* pci.hotPlugged(bus, devfn >> 3)
}

/** Pulled without asking: every function of the slot is gone at once. @throws Errno ENODEV */
export function* hotRemove({ slots, pci }: KernelParts, address: string): Task<void> {
  const device = pci.device(address)
  if (device === undefined) throw new Errno('ENODEV', address)
  const place = slots.place(device.hardware)
  const slot = device.devfn >> 3
  for (const [devfn, fn] of [...(place?.bus.functions ?? [])]) {
    if (devfn >> 3 === slot) slots.unplug(fn)
  }
  yield* pci.hotUnplugged(device, false)
}

function wiresBehind({ slots, pci }: KernelParts, address: string): HardwareBus {
  const bridge = pci.device(address)
  if (bridge === undefined) throw new Errno('ENODEV', address)
  return slots.below(bridge.hardware)
}

function hardwareOf(parts: KernelParts, added: Added, at: string): HardwareFunction {
  if (!isTemplate(added)) return added
  const description = { ...added, at, parent: null }
  parts.descriptions.set(at, description)
  return createFunction(description, parts.cabling)
}

/** Array.isArray() does not narrow to read-only lists. */
function isList(added: Added | readonly Added[]): added is readonly Added[] {
  return Array.isArray(added)
}

function isTemplate(added: Added): added is DeviceTemplate {
  return typeof added.config === 'string'
}
