/**
 * Moving a group from one domain to another: __iommu_group_set_domain() and its callers in
 * drivers/iommu/iommu.c.
 *
 *     default domain <--> blocking domain <--> a user's domain
 *      kernel drivers      claimed, no           VFIO_SET_IOMMU done
 *                          container yet
 *
 * All members move together or not at all. The IOMMU cannot tell some of them apart, so a group with
 * members in different domains would let one of them into memory of the other's.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import { PciDevice } from '../pci/pci-device.ts'
import type { Domain } from './domain.ts'
import type { IommuGroup } from './group.ts'
import type { IommuUnit } from './unit.ts'

/** Who translates for whom; IommuCore. */
export interface UnitRegistry {
  readonly context: KernelContext
  /** The unit that translates for a device (dev->iommu->iommu_dev); undefined when none does. */
  unitOf(device: Device): IommuUnit | undefined
}

/**
 * iommu_attach_group(): the group's DMA goes through the domain from now on. Attaching several groups
 * to one domain is how contexts are merged: all of them walk the same tables.
 *
 * @throws Errno EBUSY when the group is attached to a user's domain already; EINVAL when its unit cannot
 *   use the domain; EPERM before 6.6 on Intel for devices with memory reserved by firmware
 */
export function attachGroup(units: UnitRegistry, group: IommuGroup, domain: Domain): void {
  const { domain: now, defaultDomain, blockingDomain } = group
  if (now !== null && now !== defaultDomain && now !== blockingDomain) throw new Errno('EBUSY')
  if (group.members.length === 0) throw new Errno('EINVAL', 'no device in the group')
  setGroupDomain(units, group, domain)
}

/**
 * __iommu_group_set_core_domain(): what the kernel itself wants for the group: nothing reachable while
 * a user owns it, otherwise the domain of the kernel drivers. Before 5.19 nobody could own it.
 */
export function detachGroup(units: UnitRegistry, group: IommuGroup): void {
  const owned = group.owner !== null && atLeast(units.context.version, 5, 19)
  restoreGroupDomain(units, group, owned ? group.blockingDomain : group.defaultDomain)
}

/** Moves every member; on failure those moved so far go back and the error is thrown. */
export function setGroupDomain(units: UnitRegistry, group: IommuGroup, domain: Domain): void {
  if (group.domain === domain) return
  const tried: Device[] = []
  for (const { device } of group.members) {
    tried.push(device)
    try {
      attachDevice(units, group, device, domain)
    } catch (error) {
      // The one that failed too: its driver may have let go of the old domain before failing.
      for (const moved of tried) if (group.domain !== null) reattach(units, moved, group.domain)
      throw error
    }
  }
  group.domain = domain
}

/** For moves that must not fail (IOMMU_SET_DOMAIN_MUST_SUCCEED): whoever refuses is cut off instead. */
export function restoreGroupDomain(
  units: UnitRegistry,
  group: IommuGroup,
  domain: Domain | null,
): void {
  if (group.domain === domain || domain === null) return
  for (const { device } of group.members) {
    try {
      attachDevice(units, group, device, domain)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      const { blockingDomain } = group
      if (blockingDomain !== null && blockingDomain !== domain)
        reattach(units, device, blockingDomain)
    }
  }
  group.domain = domain
}

/** __iommu_device_set_domain(): one member, with what the kernel checks before asking the driver. */
export function attachDevice(
  units: UnitRegistry,
  group: IommuGroup,
  device: Device,
  domain: Domain,
): void {
  const unit = units.unitOf(device)
  if (unit === undefined || !(device instanceof PciDevice)) throw new Errno('EINVAL')
  const blocks = domain.type === 'blocked' || domain === group.blockingDomain
  if (blocks && atLeast(units.context.version, 6, 6) && needsDirectMapping(unit, device)) {
    units.context.log.push(
      `${device.driver?.name ?? 'pci'} ${device.name}: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without a 1:1 mapping. Contact your platform vendor.`,
    )
    throw new Errno('EINVAL')
  }
  unit.attach(device, domain)
}

/** Whether firmware insists on memory of this device staying mapped 1:1 (dev->iommu->require_direct). */
function needsDirectMapping(unit: IommuUnit, device: PciDevice): boolean {
  return unit.reservedRegions(device).some((region) => region.kind === 'direct')
}

/** Back to a domain the device was in before, which drivers must always allow. */
function reattach(units: UnitRegistry, device: Device, domain: Domain): void {
  if (device instanceof PciDevice) units.unitOf(device)?.attach(device, domain)
}
