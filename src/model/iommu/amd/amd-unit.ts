/**
 * The AMD IOMMU driver, one object per unit (drivers/iommu/amd/iommu.c and init.c).
 *
 * A device is attached by its device table entry and one for every other requester id it may use. What
 * is not attached has an entry that blocks: leaving it zero would let everything through.
 * (Linux has one device table per PCI segment for all its units; here each unit has its own.)
 */
import { atLeast } from '../../../base/kernel-version.ts'
import { Errno } from '../../errno.ts'
import { INTERRUPT_WINDOW } from '../../hardware/interrupt-message.ts'
import type { IommuDescription, UnitDescription } from '../../machine/description.ts'
import { requesterIds } from '../../pci/dma-alias-walk.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { Domain, DomainType } from '../domain.ts'
import { describedRegions } from '../tables/described-regions.ts'
import { LowestFree } from '../tables/lowest-free.ts'
import type { InterruptMessages, IommuUnit, ReservedRegion } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { unitInCharge } from '../unit-scope.ts'
import { AmdDomain, type AmdFlusher, pagingDomain } from './amd-domain.ts'
import { AmdHardware } from './amd-hardware.ts'
import { DeviceTable } from './device-table.ts'
import { type AmdFeatures, amdFeatures } from './features.ts'
import { InterruptTables } from './interrupt-tables.ts'

/** Class of the function that an AMD IOMMU shows of itself: base system peripheral, IOMMU. */
const CLASS_IOMMU = 0x0806

const HYPERTRANSPORT = { firstPage: 0xfd00000, lastPage: 0xfffffff, kind: 'reserved' } as const

/** Extended capabilities of devices that bring their own address spaces (PASIDs). */
const ATS = 0x0f
const PAGE_REQUESTS = 0x13
const PASID = 0x1b

/** The units of a machine, translating from the start: everything not attached is blocked. */
export function amdUnits(
  context: UnitContext,
  description: IommuDescription,
): readonly IommuUnit[] {
  const ids = new LowestFree(65536)
  ids.take()
  return description.units.map((unit) => new AmdUnit(context, description, unit, ids))
}

interface Attachment {
  readonly domain: AmdDomain
  readonly requesters: readonly number[]
}

class AmdUnit implements IommuUnit, AmdFlusher {
  readonly name: string
  readonly kind = 'amd'
  readonly isolates = true
  readonly attributes: Readonly<Record<string, string>>
  readonly isolatesInterrupts: boolean
  readonly interrupts?: InterruptMessages
  readonly hardware: AmdHardware

  readonly #context: UnitContext
  readonly #description: IommuDescription
  readonly #unit: UnitDescription
  readonly #features: AmdFeatures
  readonly #ids: LowestFree
  readonly #devices: DeviceTable
  readonly #attachments = new Map<PciDevice, Attachment>()
  /** Devices attached by domain. */
  readonly #users = new Map<AmdDomain, number>()
  readonly #blocked: AmdDomain

  constructor(
    context: UnitContext,
    description: IommuDescription,
    unit: UnitDescription,
    ids: LowestFree,
  ) {
    const { memory, version } = context
    this.name = unit.name
    this.attributes = unit.attributes
    this.isolatesInterrupts = description.interruptRemapping
    this.#context = context
    this.#description = description
    this.#unit = unit
    this.#ids = ids
    this.#features = amdFeatures(unit.attributes, version)
    this.#devices = new DeviceTable(memory, description.interruptRemapping)
    this.#blocked = new AmdDomain('blocked', 0, null, 0, () => undefined)
    this.hardware = new AmdHardware(memory)
    const { guestApic } = this.#features
    this.hardware.setDeviceTable(this.#devices.firstPage, guestApic)
    if (!description.interruptRemapping) return
    this.interrupts = new InterruptTables(memory, this.#devices, guestApic, (requester) => {
      this.hardware.invalidateDevice(requester)
    })
  }

  covers(device: PciDevice): boolean {
    if (device.classCode >>> 8 === CLASS_IOMMU) return false
    const { units } = this.#description
    return units[unitInCharge(units, device)] === this.#unit
  }

  reservedRegions(device: PciDevice): readonly ReservedRegion[] {
    const described = describedRegions(this.#description, device)
    return [...described, { ...INTERRUPT_WINDOW, kind: 'msi' }, HYPERTRANSPORT]
  }

  groupOf(): null {
    return null
  }

  groupName(): null {
    return null
  }

  /** Devices with PASIDs do the translation of user addresses themselves and need identity for the rest. */
  requiredDomainType(device: PciDevice): DomainType | null {
    const { pageRequests, guestTranslation } = this.#features
    const has = (id: number): boolean => device.hardware.config.extendedCapability(id) !== 0
    if (!guestTranslation || !has(PASID)) return null
    if (atLeast(this.#context.version, 6, 7)) return 'identity'
    return pageRequests && has(ATS) && has(PAGE_REQUESTS) ? 'identity' : null
  }

  createDomain(type: DomainType): AmdDomain {
    if (type === 'blocked') return this.#blocked
    const id = this.#ids.take()
    if (id === -1) throw new Errno('ENOSPC', 'no free domain ids')
    const { levels } = this.#features
    const giveBack = (): void => this.#ids.give(id)
    if (type === 'identity') return new AmdDomain(type, id, null, 0, giveBack)
    try {
      return pagingDomain(this.#context.memory, type, id, levels, giveBack)
    } catch (error) {
      giveBack()
      throw error
    }
  }

  attach(device: PciDevice, domain: Domain): void {
    if (!(domain instanceof AmdDomain)) throw new Errno('EINVAL', 'a domain of another IOMMU')
    if ((domain.table?.levels ?? 0) > this.#features.levels) {
      throw new Errno('EINVAL', `${this.name} cannot walk that many levels`)
    }
    this.release(device)
    if (domain.type === 'blocked') return
    const attachment = { domain, requesters: requesterIds(device) }
    this.#attachments.set(device, attachment)
    this.#users.set(domain, (this.#users.get(domain) ?? 0) + 1)
    domain.units.add(this)
    this.#point(attachment)
  }

  /** Blocks every id of the device, also those it shares with siblings behind a bridge. */
  release(device: PciDevice): void {
    const attachment = this.#attachments.get(device)
    if (attachment === undefined) return
    this.#attachments.delete(device)
    const { domain, requesters } = attachment
    for (const id of requesters) {
      this.#devices.block(id)
      this.hardware.invalidateDevice(id)
    }
    this.hardware.invalidateDomain(domain.id)
    const left = (this.#users.get(domain) ?? 1) - 1
    if (left > 0) {
      this.#users.set(domain, left)
      return
    }
    this.#users.delete(domain)
    domain.units.delete(this)
  }

  flushPages(domain: AmdDomain, firstPage: number, pages: number): void {
    this.hardware.invalidatePages(domain.id, firstPage, pages)
  }

  updateRoot(domain: AmdDomain): void {
    for (const attachment of this.#attachments.values()) {
      if (attachment.domain === domain) this.#point(attachment)
    }
    this.hardware.invalidateDomain(domain.id)
  }

  #point({ domain: { id, table }, requesters }: Attachment): void {
    for (const requester of requesters) {
      this.#devices.translate(requester, id, table?.root ?? 0, table?.levels ?? 0)
      this.hardware.invalidateDevice(requester)
    }
  }
}
