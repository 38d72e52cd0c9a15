/**
 * The hardware of a described machine: every function made and put into its slot, as somebody assembles a
 * computer before it is switched on.
 */
import { assert } from '../../base/assert.ts'
import { devfn, formatBus, parseAddress } from '../../pci/address.ts'
import { createFunction } from '../hardware/devices/catalogue.ts'
import { Cabling } from '../hardware/devices/nic/cabling.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import { Slots } from '../hardware/slots.ts'
import type { MachineDescription } from './description.ts'

export interface Assembled {
  readonly slots: Slots
  /** Frames sent by one network function arrive at its neighbour in the slot. */
  readonly cabling: Cabling
}

/** @throws Error when a bridge is missing or a slot is taken: the description is wrong */
export function plugMachine(machine: MachineDescription): Assembled {
  const slots = new Slots()
  const cabling = new Cabling()
  const made = new Map<string, HardwareFunction>()
  const hosts = new Map(machine.hostedBuses.map(({ bus, host }) => [bus, host]))
  for (const description of machine.functions) {
    const at = parseAddress(description.at)
    assert(at !== null, `${description.at} is an address`)
    const fn = createFunction(description, cabling)
    made.set(description.at, fn)
    if (description.parent === null) {
      const name = formatBus(at.domain, at.bus)
      const host = made.get(hosts.get(name) ?? '') ?? null
      slots.plug(fn, slots.roots.get(name) ?? slots.addRoot(name, host), devfn(at))
      continue
    }
    const bridge = made.get(description.parent)
    assert(bridge !== undefined, `${description.parent} is listed before ${description.at}`)
    slots.plug(fn, slots.below(bridge), devfn(at))
  }
  return { slots, cabling }
}
