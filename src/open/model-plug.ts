/** Plugging devices into a running model: which slot is free behind a port, and what address that gives. */
import { KernelError } from '../kernel/kernel.ts'
import { deviceTemplate } from '../model/hardware/devices/catalogue.ts'
import { callsInto } from '../model/kernel-calls.ts'
import type { Model } from '../model/model.ts'
import { formatAddress } from '../pci/address.ts'
import { TIMERS } from './model-host.ts'

const SLOTS = 32
/** PCI Express port types with a link below, where only slot 0 is: root port, downstream port. */
const LINKS: readonly (number | null)[] = [4, 6]

export interface Hands {
  plug(kind: string, port: string): Promise<string>
  pull(address: string): Promise<void>
}

/** @param model a booted machine, which may have tasks that sleep */
export function handsFor(model: Model): Hands {
  const calls = callsInto(model.context.scheduler, TIMERS)
  return {
    plug: async (kind, port) => {
      const template = deviceTemplate(kind)
      if (template === undefined) throw refused('ENODEV', kind)
      const { address, devfn } = freePlace(model, port)
      await calls.later('write', address, model.hotAdd(template, port, devfn), null)
      return address
    },
    pull: (address) => calls.later('write', address, model.hotRemove(address), null),
  }
}

function freePlace(
  { slots, pci }: Model,
  port: string,
): { readonly address: string; readonly devfn: number } {
  const bridge = pci.device(port)
  const wires =
    slots.roots.get(port) ?? (bridge === undefined ? null : slots.below(bridge.hardware))
  const bus = wires === null ? undefined : pci.busOf(wires)
  if (wires === null || bus === undefined) throw refused('ENODEV', port)
  // Slot 0 of other buses is not for cards: a bridge that replaces requester ids may use its number.
  const [first, end] = bridge !== undefined && LINKS.includes(bridge.pcieType) ? [0, 1] : [1, SLOTS]
  for (let slot = first; slot < end; slot += 1) {
    const taken = [...wires.functions.keys()].some((devfn) => devfn >> 3 === slot)
    if (taken) continue
    const at = { domain: bus.domain, bus: bus.number, device: slot, function: 0 }
    return { address: formatAddress(at), devfn: slot << 3 }
  }
  throw refused('ENOSPC', port)
}

function refused(code: string, path: string): KernelError {
  return new KernelError(code, 'write', path)
}
