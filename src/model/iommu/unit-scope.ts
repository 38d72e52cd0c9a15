/**
 * Which IOMMU unit is in charge of a function: dmar_find_matched_drhd_unit / device_lookup_iommu of
 * drivers/iommu/intel/iommu.c; IVRS device ranges on AMD.
 *
 * Firmware lists functions and bridges per unit; a bridge stands for all below it. One unit may take
 * everything that no list names.
 */
import type { UnitDescription } from '../machine/description.ts'
import type { PciDevice } from '../pci/pci-device.ts'

/** @returns index of the unit in charge, or -1 */
export function unitInCharge(units: readonly UnitDescription[], device: PciDevice): number {
  const names = namesUpwards(device)
  const named = units.findIndex(({ scope }) => scope?.some((name) => names.includes(name)) === true)
  return named !== -1 ? named : units.findIndex(({ scope }) => scope === null)
}

/** Whether a function is the named one or somewhere below it. */
export function isAtOrBelow(device: PciDevice, name: string): boolean {
  return namesUpwards(device).includes(name)
}

/**
 * Names of a function, of the one that does its DMA, and of the bridges above, nearest first. A virtual
 * function goes by its physical one.
 */
export function namesUpwards(device: PciDevice): readonly string[] {
  const real = device.realDmaDevice ?? device.physicalFunction ?? device
  const names = [device.name, real.name]
  for (let bus = real.pciBus; bus.parent !== null; bus = bus.parent) {
    if (bus.bridge !== null) names.push(bus.bridge.name)
  }
  return names
}
