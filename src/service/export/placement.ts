/**
 * Where the functions of a group go in a virtual machine.
 *
 * What is one card for the host is one card for the guest: functions of one slot keep together, on a
 * PCI Express port of their own, because drivers look for their siblings there (a graphics card and
 * its sound). A slot needs a function 0: without it the guest finds none of the others (PCI Local Bus
 * 3.0, 3.2.2.3.4), so when the group lacks it, the lowest function takes its place. Virtual functions
 * are devices of their own whatever their address looks like. Conventional PCI devices go behind one
 * PCI Express-to-PCI bridge.
 */
import { type ExportedDevice, type ExportedGroup, addressOf } from './exported-group.ts'

/** A port of the guest with what is plugged into it. */
export interface GuestPort {
  /** `pci`: behind a bridge to conventional PCI, where devices have slots 1 to 31. */
  readonly kind: 'express' | 'pci'
  readonly slots: readonly GuestSlot[]
}

export interface GuestSlot {
  /** 0 on a PCI Express port. */
  readonly slot: number
  readonly functions: readonly GuestFunction[]
}

export interface GuestFunction {
  readonly device: ExportedDevice
  readonly function: number
  /** Set on function 0 of a slot that has more. */
  readonly multifunction: boolean
}

/** A bridge to conventional PCI has slots 1 to 31. */
const PCI_SLOTS = 31

export function guestPorts(groups: readonly ExportedGroup[]): readonly GuestPort[] {
  const express: ExportedDevice[][] = []
  const conventional: ExportedDevice[][] = []
  for (const devices of cardsOf(groups.flatMap((group) => group.devices))) {
    const isConventional = devices.every(
      ({ fn }) => fn.config.pcie.known && fn.config.pcie.value === null,
    )
    const list = isConventional ? conventional : express
    list.push(devices)
  }
  const ports: GuestPort[] = express.map((devices) => ({
    kind: 'express',
    slots: [{ slot: 0, functions: functionsOf(devices) }],
  }))
  for (let from = 0; from < conventional.length; from += PCI_SLOTS) {
    const cards = conventional.slice(from, from + PCI_SLOTS)
    const slots = cards.map((devices, index) => ({
      slot: index + 1,
      functions: functionsOf(devices),
    }))
    ports.push({ kind: 'pci', slots })
  }
  return ports
}

/** Devices by card: one slot of the host, or one virtual function. */
function cardsOf(devices: readonly ExportedDevice[]): readonly ExportedDevice[][] {
  const cards = new Map<string, ExportedDevice[]>()
  for (const device of devices) {
    const { address, physicalFunction } = device.fn
    const isVirtual = physicalFunction.known && physicalFunction.value !== null
    const key = isVirtual ? address : address.slice(0, -2)
    cards.set(key, [...(cards.get(key) ?? []), device])
  }
  return [...cards.values()]
}

function functionsOf(card: readonly ExportedDevice[]): readonly GuestFunction[] {
  return card.map((device, index) => ({
    device,
    function: index === 0 ? 0 : addressOf(device.fn).function,
    multifunction: index === 0 && card.length > 1,
  }))
}
