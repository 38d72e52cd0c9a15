/**
 * The IOMMU core: forms groups as devices appear (drivers/iommu/iommu.c, drivers/iommu/iommu-sysfs.c).
 *
 *     unit registers --> every device on its buses          (boot: units come after devices)
 *     add-device    \
 *                    --> unit that covers it --> group --> default domain --> (uevent, driver probe)
 *     removed-device --> leaves the group; the last one frees the number
 *
 * Nobody outside decides what a group is: an IOMMU driver names one by a rule of its own, or the rule
 * for PCI devices applies (pci-grouping.ts). Both only find groups that exist or ask for a new one; so
 * groups are the result of the order in which devices came, and a number says nothing.
 *
 * Everything here is atomic, where Linux holds group->mutex. Only a write to `type` may sleep.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import type { Bus, BusEvent } from '../driver-core/bus.ts'
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { type Directory, relativeLink } from '../sysfs/node.ts'
import {
  type DefaultDomains,
  freeDomain,
  mapReserved,
  setUpDefaultDomain,
} from './default-domain.ts'
import { type DefaultType, defaultPolicy } from './default-policy.ts'
import type { Domain } from './domain.ts'
import { IommuGroup } from './group.ts'
import { attachDevice, attachGroup, detachGroup } from './group-domain.ts'
import { groupsDirectory } from './iommu-files.ts'
import { claimGroup, releaseGroup, unuseDefaultDomain, useDefaultDomain } from './ownership.ts'
import { pciDeviceGroup } from './pci-grouping.ts'
import { mergeRegions } from './reserved-regions.ts'
import type { IommuUnit, ReservedRegion } from './unit.ts'
import { linkToUnit, type UnitDevice, unitDevice, unlinkFromUnit } from './unit-device.ts'
import { memberViable, verifyBound, warnOfNewcomer } from './viability.ts'

export interface IommuOptions {
  /** Default domain the kernel was built with; its command line goes before. */
  readonly configuredDefault?: DefaultType
}

export class IommuCore implements DefaultDomains {
  readonly context: KernelContext
  /** In the order they registered. */
  readonly units: IommuUnit[] = []
  /** By number. */
  readonly groups: Map<number, IommuGroup> = new Map()
  defaultType: DefaultType
  /** The kernel stopped on purpose (BUG_ON, before 5.19); nothing after that means anything. */
  crashed = false
  readonly #unitOf = new Map<Device, IommuUnit>()
  readonly #unitDevices = new Map<IommuUnit, UnitDevice>()
  readonly #buses = new Set<Bus>()
  /** No number below it is free. */
  #lowestFree = 0

  constructor(context: KernelContext, options: IommuOptions = {}) {
    this.context = context
    const policy = defaultPolicy(context.commandLine, options.configuredDefault ?? 'DMA-FQ')
    this.defaultType = policy.type
    context.log.push(...policy.messages)
    context.devices.addClass('iommu')
  }

  unitOf(device: Device): IommuUnit | undefined {
    return this.#unitOf.get(device)
  }

  /**
   * iommu_device_register(): devices that no unit covered so far join groups now, bus by bus in order
   * of registration. Numbers therefore follow the order of units first.
   */
  registerUnit(unit: IommuUnit, buses: readonly Bus[]): void {
    this.units.push(unit)
    // Translation-only units have no iommu_ops: neither groups nor an entry in /sys/class/iommu.
    if (!unit.isolates) return
    this.#applyCachingMode(unit)
    this.#unitDevices.set(unit, unitDevice(this.context, unit, this.#unitDevices.size, buses))
    for (const bus of buses) {
      this.#listen(bus)
      const fresh = new Set<IommuGroup>()
      for (const device of bus.devices.values()) {
        if (device.iommuGroup === null) this.#probe(device, fresh)
      }
      // Once all members are known: one of them may insist on a type.
      for (const group of fresh) this.#startGroup(group)
    }
  }

  /** Before a kernel driver's probe (dma_configure). @throws Errno EBUSY, EPROBE_DEFER */
  useDefaultDomain(device: Device): void {
    useDefaultDomain(this, device)
  }

  unuseDefaultDomain(device: Device): void {
    unuseDefaultDomain(this, device)
  }

  /** See claimGroup. @throws Errno EPERM, EBUSY, EINVAL */
  claim(group: IommuGroup, owner: object): void {
    claimGroup(this, group, owner)
  }

  release(group: IommuGroup): void {
    releaseGroup(this, group)
  }

  /** See attachGroup in group-domain.ts. @throws Errno EBUSY, EINVAL, EPERM */
  attachGroup(group: IommuGroup, domain: Domain): void {
    attachGroup(this, group, domain)
  }

  detachGroup(group: IommuGroup): void {
    detachGroup(this, group)
  }

  /** Whether a user could have the group now (without being its owner already). */
  isViable(group: IommuGroup): boolean {
    if (atLeast(this.context.version, 5, 19)) return group.ownerCount === 0
    return group.members.every(({ device }) => memberViable(device))
  }

  /**
   * Whether no member can raise interrupts of others by writing to the interrupt window. 6.2 asks for
   * each device (iommu_group_has_isolated_msi); before, remapping was one flag for the machine.
   */
  isolatedMsi(group: IommuGroup): boolean {
    if (!atLeast(this.context.version, 6, 2)) {
      return this.units.some((unit) => unit.isolatesInterrupts)
    }
    return group.members.every(({ device }) => this.unitOf(device)?.isolatesInterrupts === true)
  }

  /** iommu_get_group_resv_regions(): those of all members, merged. */
  reservedRegions(group: IommuGroup): readonly ReservedRegion[] {
    return mergeRegions(
      group.members.flatMap(({ device }) =>
        device instanceof PciDevice ? (this.unitOf(device)?.reservedRegions(device) ?? []) : [],
      ),
    )
  }

  /** Keeps the group, and its number, though all members may leave (iommu_group_get). */
  hold(group: IommuGroup): void {
    group.references += 1
  }

  /** Undoes `hold` (iommu_group_put). */
  drop(group: IommuGroup): void {
    group.references -= 1
    this.#freeIfUnused(group)
  }

  /** /sys/kernel/iommu_groups */
  groupsDirectory(): Directory {
    return groupsDirectory(this)
  }

  #listen(bus: Bus): void {
    if (this.#buses.has(bus)) return
    this.#buses.add(bus)
    bus.registerNotifier((event, device) => {
      this.#notify(event, device)
    })
  }

  /** iommu_bus_notifier(). What goes wrong with a device does not keep it from being added. */
  #notify(event: BusEvent, device: Device): void {
    if (event === 'add-device') {
      const fresh = new Set<IommuGroup>()
      this.#probe(device, fresh)
      for (const group of fresh) this.#startGroup(group)
    } else if (event === 'removed-device') {
      this.#release(device)
    } else if (event === 'bound-driver' && !atLeast(this.context.version, 5, 19)) {
      const group = device.iommuGroup
      if (group !== null && !verifyBound(this.context, group, device)) this.crashed = true
    }
  }

  /** __iommu_probe_device() */
  #probe(device: Device, fresh: Set<IommuGroup>): void {
    if (!(device instanceof PciDevice)) return
    const unit = this.units.find((candidate) => candidate.isolates && candidate.covers(device))
    if (unit === undefined) return
    this.#unitOf.set(device, unit)
    linkToUnit(device, this.#unitDevices.get(unit))
    const group = this.#findGroup(device, unit)
    this.#join(device, group)
    if (group.domain === null) {
      fresh.add(group)
      return
    }
    try {
      if (group.defaultDomain !== null) mapReserved(this, device, group.defaultDomain)
      attachDevice(this, group, device, group.domain)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      this.#release(device)
      return
    }
    if (!atLeast(this.context.version, 5, 19)) warnOfNewcomer(this.context, group, device)
  }

  #findGroup(device: PciDevice, unit: IommuUnit): IommuGroup {
    const own = unit.groupOf(device)
    if (own instanceof IommuGroup) return own
    const ivrs = this.units.some(({ kind }) => kind === 'amd')
    const rules = { version: this.context.version, ivrs }
    const found = own === 'new' ? null : pciDeviceGroup(device, rules)
    return found ?? this.#createGroup(unit.groupName(device), unit)
  }

  /** iommu_group_alloc() */
  #createGroup(name: string | null, unit: IommuUnit): IommuGroup {
    const id = this.#lowestFree
    const group = new IommuGroup(id, name, unit)
    this.groups.set(id, group)
    while (this.groups.has(this.#lowestFree)) this.#lowestFree += 1
    return group
  }

  /** iommu_group_alloc_device(), and what each kernel logs. */
  #join(device: PciDevice, group: IommuGroup): void {
    group.join(device)
    device.links.set(
      'iommu_group',
      relativeLink(device.path, `/kernel/iommu_groups/${String(group.id)}`),
    )
    this.context.log.push(`pci ${device.name}: Adding to iommu group ${String(group.id)}`)
  }

  #startGroup(group: IommuGroup): void {
    try {
      setUpDefaultDomain(this, group, null)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      for (const { device } of [...group.members]) this.#release(device)
    }
  }

  /** iommu_release_device() */
  #release(device: Device): void {
    const unit = this.#unitOf.get(device)
    if (unit === undefined || !(device instanceof PciDevice)) return
    const group = device.iommuGroup
    if (!atLeast(this.context.version, 6, 4) && group !== null) {
      const line = `pci ${device.name}: Removing from iommu group ${String(group.id)}`
      this.context.log.push(line)
    }
    unit.release(device)
    this.#unitOf.delete(device)
    unlinkFromUnit(device, this.#unitDevices.get(unit))
    if (group === null) return
    device.links.delete('iommu_group')
    group.leave(device)
    if (group.members.length === 0) freeDomains(group)
    this.#freeIfUnused(group)
  }

  #freeIfUnused(group: IommuGroup): void {
    if (group.members.length > 0 || group.references > 0) return
    this.groups.delete(group.id)
    this.#lowestFree = Math.min(this.#lowestFree, group.id)
  }

  /**
   * A VT-d unit that caches entries which are not present needs a flush for each new mapping, so that
   * saving flushes when unmapping gains nothing; only virtual ones do (intel_iommu_init).
   */
  #applyCachingMode(unit: IommuUnit): void {
    const capability = unit.kind === 'intel' ? BigInt(`0x${unit.attributes['cap'] ?? '0'}`) : 0n
    if ((capability & 0x80n) === 0n) return
    const message = 'DMAR: IOMMU batching disallowed due to virtualization'
    if (!this.context.log.includes(message)) this.context.log.push(message)
    if (this.defaultType === 'DMA-FQ') this.defaultType = 'DMA'
  }
}

/** The last member is gone: nothing uses the tables any more. */
function freeDomains(group: IommuGroup): void {
  if (group.defaultDomain !== null) freeDomain(group.defaultDomain)
  if (group.blockingDomain !== null) freeDomain(group.blockingDomain)
  group.defaultDomain = null
  group.blockingDomain = null
  group.domain = null
}
