/**
 * The default domain of a group: what kernel drivers share, and what DMA goes through whenever nobody
 * has asked for anything else. iommu_setup_default_domain() of drivers/iommu/iommu.c.
 *
 *     type of the group = what one of its devices insists on, else what was asked for, else the policy
 *
 * Memory that firmware uses through a device (RMRR) is mapped 1:1 before the device is moved in, so
 * that its DMA never stops.
 */
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import { PciDevice } from '../pci/pci-device.ts'
import type { DefaultType } from './default-policy.ts'
import { type Domain, type DomainType, READ, WRITE } from './domain.ts'
import type { IommuGroup } from './group.ts'
import { setGroupDomain, type UnitRegistry } from './group-domain.ts'

export interface DefaultDomains extends UnitRegistry {
  /** Type of groups that insist on none. */
  readonly defaultType: DefaultType
}

/**
 * Gives the group a new default domain and moves it there; on failure it keeps the old one.
 *
 * @param target what a user wrote to `type`; null = as the devices or the policy want ("auto")
 * @throws Errno EINVAL when a device insists on another type
 */
export function setUpDefaultDomain(
  core: DefaultDomains,
  group: IommuGroup,
  target: DefaultType | null,
): void {
  const required = requiredType(core, group)
  if (target !== null && required !== null && target !== required) throw new Errno('EINVAL')
  const { unit } = group
  if (unit === null) throw new Errno('EINVAL')
  const before = group.defaultDomain
  const domain = unit.createDomain(target ?? required ?? core.defaultType)
  if (domain === before) return
  for (const { device } of group.members) mapReserved(core, device, domain)
  group.defaultDomain = domain
  try {
    setGroupDomain(core, group, domain)
  } catch (error) {
    group.defaultDomain = before
    freeDomain(domain)
    throw error
  }
  if (before !== null) freeDomain(before)
}

/** iommu_get_default_domain_type(): identity wins where the driver contradicts itself. */
export function requiredType(core: DefaultDomains, group: IommuGroup): DomainType | null {
  let required: DomainType | null = null
  for (const { device } of group.members) {
    if (!(device instanceof PciDevice)) continue
    const type = core.unitOf(device)?.requiredDomainType(device) ?? null
    if (type === null || type === required) continue
    if (required === null) {
      required = type
      continue
    }
    core.context.log.push(
      `${device.driver?.name ?? 'pci'} ${device.name}: IOMMU driver error, requesting conflicting def_domain_type, ${required} and ${type}, for devices in group ${String(group.id)}.`,
    )
    required = 'identity'
  }
  return required
}

/** iommu_create_device_direct_mappings(): pages that are mapped already stay as they are. */
export function mapReserved(core: DefaultDomains, device: Device, domain: Domain): void {
  if (domain.type !== 'DMA' && domain.type !== 'DMA-FQ') return
  if (!(device instanceof PciDevice)) return
  for (const region of core.unitOf(device)?.reservedRegions(device) ?? []) {
    if (region.kind !== 'direct' && region.kind !== 'direct-relaxable') continue
    let from = region.firstPage
    for (let page = from; page <= region.lastPage + 1; page += 1) {
      if (page <= region.lastPage && domain.physicalPage(page) === -1) continue
      if (page > from) domain.map(from, from, page - from, READ | WRITE)
      from = page + 1
    }
  }
}

/** Frees page tables; a unit's identity and blocked domains are its own and stay. */
export function freeDomain(domain: Domain): void {
  if (domain.type !== 'identity' && domain.type !== 'blocked') domain.destroy()
}
