/**
 * An IOMMU unit as a device of the class `iommu` (drivers/iommu/iommu-sysfs.c): where user space sees
 * which unit translates for whom.
 *
 *     /sys/devices/virtual/iommu/dmar0/intel-iommu/{version,address,cap,ecap,...}
 *                                     /devices/0000:00:02.0 -> the devices it covers
 *     .../0000:00:02.0/iommu -> the unit
 *
 * Intel units belong to no other device. AMD's are PCI functions, and ivhd0 is below its own.
 */
import type { KernelContext } from '../context.ts'
import { addDevice } from '../driver-core/add-device.ts'
import type { Bus } from '../driver-core/bus.ts'
import { Device } from '../driver-core/device.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { type Directory, relativeLink, textFile } from '../sysfs/node.ts'
import { runNow } from '../task.ts'
import type { IommuUnit } from './unit.ts'

export interface UnitDevice {
  readonly device: Device
  /** Linked in its `devices`, by name. */
  readonly covered: Map<string, Device>
}

/** Name of the directory with a unit's registers. */
const ATTRIBUTES = {
  intel: 'intel-iommu',
  amd: 'amd-iommu',
  power: 'spapr-tce-iommu',
  gart: 'gart',
} as const

/** System peripheral, IOMMU (PCI Code and ID Assignment Specification, class 08h). */
const CLASS_IOMMU = 0x080600

/**
 * iommu_device_sysfs_add()
 * @param position how many units there are before it
 */
export function unitDevice(
  context: KernelContext,
  unit: IommuUnit,
  position: number,
  buses: readonly Bus[],
): UnitDevice {
  const parent = unit.kind === 'amd' ? amdFunction(position, buses) : null
  const covered = new Map<string, Device>()
  const device = new Device({
    name: unit.name,
    parent,
    bus: null,
    className: 'iommu',
    ...(parent === null ? { root: '/devices/virtual/iommu' } : { subdirectory: 'iommu' }),
  })
  device.directories.set('devices', () => coveredDirectory(device, covered))
  device.directories.set(ATTRIBUTES[unit.kind], () => attributesDirectory(unit))
  runNow(addDevice(context, device))
  return { device, covered }
}

/** iommu_device_link() and iommu_device_unlink() */
export function linkToUnit(device: Device, unit: UnitDevice | undefined): void {
  if (unit === undefined) return
  unit.covered.set(device.name, device)
  device.links.set('iommu', relativeLink(device.path, unit.device.path))
}

export function unlinkFromUnit(device: Device, unit: UnitDevice | undefined): void {
  unit?.covered.delete(device.name)
  device.links.delete('iommu')
}

function amdFunction(position: number, buses: readonly Bus[]): Device | null {
  const functions = buses
    .flatMap((bus) => [...bus.devices.values()])
    .filter((device) => device instanceof PciDevice && device.classCode === CLASS_IOMMU)
  return functions[position] ?? null
}

function coveredDirectory(unit: Device, covered: ReadonlyMap<string, Device>): Directory {
  return {
    kind: 'directory',
    list: () => [...covered.keys()],
    find: (name) => {
      const device = covered.get(name)
      return device && relativeLink(`${unit.path}/devices`, device.path)
    },
  }
}

function attributesDirectory(unit: IommuUnit): Directory {
  return {
    kind: 'directory',
    list: () => Object.keys(unit.attributes),
    find: (name) =>
      Object.hasOwn(unit.attributes, name)
        ? textFile(() => `${unit.attributes[name] ?? ''}\n`)
        : undefined,
  }
}
