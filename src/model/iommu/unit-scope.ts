/**
 * Which IOMMU unit is in charge of a function: dmar_find_matched_drhd_unit / device_lookup_iommu of
 * drivers/iommu/intel/iommu.c; IVRS device ranges on AMD.
 *
 * Firmware lists functions and bridges per unit; a bridge stands for all below it. One unit may take
 * everything that no list names.
 */
import type { UnitDescription } from '../machine/description.ts'
import type { PciDevice } from '../pci/pci-device.ts'

/** Index of the first unit that lists a name: the twin of a large host lists every function of it. */
const listed = new WeakMap<readonly UnitDescription[], ReadonlyMap<string, number>>()

/** @returns index of the unit in charge, or -1 */
export function unitInCharge(units: readonly UnitDescription[], device: PciDevice): number {
  const byName = namesOf(units)
  let first = units.length
  for (const name of namesUpwards(device)) first = Math.min(first, byName.get(name) ?? first)
  return first < units.length ? first : units.findIndex(({ scope }) => scope === null)
}

function namesOf(units: readonly UnitDescription[]): ReadonlyMap<string, number> {
  const known = listed.get(units)
  if (known !== undefined) return known
  const byName = new Map<string, number>()
  units.forEach(({ scope }, index) => {
    for (const name of scope ?? []) if (!byName.has(name)) byName.set(name, index)
  })
  listed.set(units, byName)
  return byName
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
