/**
 * Before 5.19 nothing kept a kernel driver out of a group that a user had. VFIO looked at the members
 * when the user asked for a device, and listened on the bus afterwards: vfio_dev_viable() and
 * vfio_iommu_group_notifier() of drivers/vfio/vfio.c (5.18). When it heard of a driver that had bound
 * meanwhile, both could already reach each other's memory, and it stopped the kernel on purpose.
 * Ownership (ownership.ts) replaced all of this.
 */
import type { KernelContext } from '../context.ts'
import type { Device } from '../driver-core/device.ts'
import { PciDevice } from '../pci/pci-device.ts'
import type { IommuGroup } from './group.ts'

/** Whether a member does not stand in a user's way: unbound, on VFIO or pci-stub, or a bridge. */
export function memberViable(device: Device): boolean {
  if (device.driver === null || device.driver.isVfio) return true
  // Bridges only pass on what others send, so any driver is fine; later kernels think otherwise of shpchp.
  return device instanceof PciDevice
    ? device.headerType !== 0 || device.driver.name === 'pci-stub'
    : false
}

/**
 * vfio_group_nb_verify(), on the bound-driver event.
 * @returns false when the kernel has to stop (BUG_ON)
 */
export function verifyBound(context: KernelContext, group: IommuGroup, device: Device): boolean {
  if (group.owner === null || memberViable(device)) return true
  context.log.push('kernel BUG at drivers/vfio/vfio.c!')
  return false
}

/** vfio_group_nb_add_dev(): a newcomer in a group in use is only worth a warning. */
export function warnOfNewcomer(context: KernelContext, group: IommuGroup, device: Device): void {
  if (group.owner === null) return
  context.log.push(`pci ${device.name}: Device added to live group ${String(group.id)}!`)
}
