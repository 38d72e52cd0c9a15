/**
 * What an IOMMU driver offers to the IOMMU core (struct iommu_ops), one object per hardware unit. The
 * drivers are in vtd/, amd/, power/ and gart/; hardware/translation.ts is the other side of each.
 */
import type { InterruptMessage } from '../hardware/interrupt-message.ts'
import type { Interrupt, TranslationHardware } from '../hardware/translation.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { Domain, DomainType } from './domain.ts'
import type { IommuGroup } from './group.ts'

export interface ReservedRegion {
  readonly firstPage: number
  /** Inclusive. */
  readonly lastPage: number
  readonly kind: 'direct' | 'direct-relaxable' | 'reserved' | 'msi'
}

/** The interrupt remapping driver of a unit, as the irq domain of its devices. */
export interface InterruptMessages {
  /**
   * Messages that raise these interrupts, to be written into the device's MSI or MSI-X registers. One
   * call makes one block: the messages of multi-vector MSI differ only in the low bits of their data.
   * MSI-X asks for each alone.
   * @throws Errno ENOSPC when the table is full
   */
  allocate(device: PciDevice, interrupts: readonly Interrupt[]): readonly InterruptMessage[]
  free(device: PciDevice, messages: readonly InterruptMessage[]): void
}

export interface IommuUnit {
  /** "dmar0", "ivhd0"; the name under /sys/class/iommu. */
  readonly name: string
  readonly kind: 'intel' | 'amd' | 'power' | 'gart'
  /**
   * Whether it takes part in groups at all. A translation-only unit does not: its devices get no
   * group, no default domain, and no VFIO.
   */
  readonly isolates: boolean
  /** Files of /sys/class/iommu/<name>/<kind>-iommu/. */
  readonly attributes: Readonly<Record<string, string>>
  /** Interrupt remapping is in use (IRQ_DOMAIN_FLAG_ISOLATED_MSI). */
  readonly isolatesInterrupts: boolean
  /**
   * Absent: interrupts are not remapped, and devices send plain messages (plainMessage). Present: only
   * messages from here are let through, each only from the device it was made for.
   */
  readonly interrupts?: InterruptMessages
  readonly hardware: TranslationHardware
  /** Whether this unit translates for the device (DMAR scope, IVRS range, PE). */
  covers(device: PciDevice): boolean
  /** First page 0 and so on of the windows this device must not use freely. Unsorted. */
  reservedRegions(device: PciDevice): readonly ReservedRegion[]
  /**
   * Group by the IOMMU's own rule: a PE's group on POWER. Null: the PCI rule of pci-grouping.ts.
   * An existing group, or 'new' for one of its own.
   */
  groupOf(device: PciDevice): IommuGroup | 'new' | null
  /** Name file for a new group ("domain0-pe1"); null on x86. */
  groupName(device: PciDevice): string | null
  /** Default domain type the device insists on (def_domain_type); null = as configured. */
  requiredDomainType(device: PciDevice): DomainType | null
  /** A paging domain ("DMA", "DMA-FQ", "unmanaged"), or the unit's identity or blocked domain. */
  createDomain(type: DomainType): Domain
  /**
   * Points the device, under each requester id it may use, at the domain.
   * @throws Errno EINVAL when the domain cannot be used by this unit (levels, coherency, other kind)
   */
  attach(device: PciDevice, domain: Domain): void
  /** The device goes away: its entries are cleared. */
  release(device: PciDevice): void
}
