/**
 * The VT-d driver, one object per unit (drivers/iommu/intel/iommu.c).
 *
 * It writes root, context and page tables into memory and tells the hardware (vtd-hardware.ts) what to
 * forget. A device is attached by an entry for every requester id it may use; an id without an entry
 * is blocked, which is how every unit starts and what the blocked domain means.
 */
import { atLeast } from '../../../base/kernel-version.ts'
import { Errno } from '../../errno.ts'
import { INTERRUPT_WINDOW } from '../../hardware/interrupt-message.ts'
import type { IommuDescription, UnitDescription } from '../../machine/description.ts'
import { requesterIds } from '../../pci/dma-alias-walk.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { type Domain, type DomainType, READ, WRITE } from '../domain.ts'
import { describedRegions } from '../tables/described-regions.ts'
import { LowestFree } from '../tables/lowest-free.ts'
import type { InterruptMessages, IommuUnit, ReservedRegion } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { unitInCharge } from '../unit-scope.ts'
import { type VtdCapabilities, vtdCapabilities } from './capabilities.ts'
import { ContextTables } from './context-tables.ts'
import { INTERRUPT_ENTRIES, InterruptTableDriver } from './interrupt-table.ts'
import { pagingDomain, VtdDomain, type VtdFlusher, type VtdPaging } from './vtd-domain.ts'
import { VtdHardware } from './vtd-hardware.ts'

/** The units of a machine, translating from the start: everything not attached is blocked. */
export function vtdUnits(
  context: UnitContext,
  description: IommuDescription,
): readonly IommuUnit[] {
  const { units } = description
  // Interrupts are remapped by all units or by none (intel_prepare_irq_remapping).
  const remaps =
    description.interruptRemapping &&
    units.every((unit) => vtdCapabilities(unit.attributes).interruptRemapping)
  return units.map((unit) => new VtdUnit(context, description, unit, remaps))
}

interface Attachment {
  readonly domain: VtdDomain
  readonly requesters: readonly number[]
}

class VtdUnit implements IommuUnit, VtdFlusher {
  readonly name: string
  readonly kind = 'intel'
  readonly isolates = true
  readonly isolatesInterrupts: boolean
  readonly interrupts?: InterruptMessages
  readonly hardware: VtdHardware

  readonly #context: UnitContext
  readonly #description: IommuDescription
  readonly #unit: UnitDescription
  readonly #capabilities: VtdCapabilities
  readonly #paging: VtdPaging
  readonly #contexts: ContextTables
  readonly #attachments = new Map<PciDevice, Attachment>()
  /** Domain ids of this unit: id and number of devices attached by each domain. */
  readonly #ids = new Map<VtdDomain, { readonly id: number; devices: number }>()
  readonly #freeIds: LowestFree
  readonly #identityId: number | null
  readonly #blocked: VtdDomain
  #identity: VtdDomain | null = null

  constructor(
    context: UnitContext,
    description: IommuDescription,
    unit: UnitDescription,
    remaps: boolean,
  ) {
    this.name = unit.name
    this.#context = context
    this.#description = description
    this.#unit = unit
    this.#capabilities = vtdCapabilities(unit.attributes)
    this.#paging = pagingOf(this.#capabilities)
    this.#contexts = new ContextTables(context.memory)
    this.#blocked = new VtdDomain('blocked', this.#paging, null)
    this.#freeIds = new LowestFree(this.#capabilities.domains)
    // Id 0 is what absent entries are cached under; since 6.12 one is set aside for pass-through.
    this.#freeIds.take()
    this.#identityId = atLeast(context.version, 6, 12) ? this.#freeIds.take() : null

    this.hardware = new VtdHardware(context.memory, this.#capabilities)
    this.hardware.setRootTable(this.#contexts.rootTable)
    this.isolatesInterrupts = remaps
    if (!remaps) return
    const { x2apic } = this.#capabilities
    const table = new InterruptTableDriver(context.memory, x2apic)
    const { firstPage } = table
    this.hardware.setInterruptTable({ firstPage, entries: INTERRUPT_ENTRIES, x2apic })
    this.interrupts = table
  }

  get attributes(): Readonly<Record<string, string>> {
    return {
      ...this.#unit.attributes,
      domains_supported: String(this.#capabilities.domains),
      domains_used: String(this.#freeIds.used),
    }
  }

  covers(device: PciDevice): boolean {
    const { units } = this.#description
    return units[unitInCharge(units, device)] === this.#unit
  }

  reservedRegions(device: PciDevice): readonly ReservedRegion[] {
    const regions = describedRegions(this.#description, device)
    // CONFIG_INTEL_IOMMU_FLOPPY_WA: DMA of the floppy controller behind an ISA bridge.
    if (device.classCode >>> 8 === 0x0601) {
      regions.push({ firstPage: 0, lastPage: 0xfff, kind: 'direct-relaxable' })
    }
    regions.push({ ...INTERRUPT_WINDOW, kind: 'msi' })
    return regions
  }

  groupOf(): null {
    return null
  }

  groupName(): null {
    return null
  }

  requiredDomainType(): DomainType | null {
    // Without pass-through in hardware, identity would need tables; 6.12 no longer makes them.
    const needsTables = !this.#capabilities.passThrough && atLeast(this.#context.version, 6, 12)
    return needsTables ? 'DMA' : null
  }

  createDomain(type: DomainType): VtdDomain {
    switch (type) {
      case 'blocked':
        return this.#blocked
      case 'identity':
        this.#identity ??= this.#makeIdentity()
        return this.#identity
      case 'unmanaged': {
        const snoop = this.#capabilities.snoopControl
        return pagingDomain(this.#context.memory, type, { ...this.#paging, snoop })
      }
      case 'DMA':
      case 'DMA-FQ':
        return pagingDomain(this.#context.memory, type, this.#paging)
    }
  }

  attach(device: PciDevice, domain: Domain): void {
    if (!(domain instanceof VtdDomain)) throw new Errno('EINVAL', 'a domain of another IOMMU')
    this.#refuseRmrr(device, domain)
    if (domain.type !== 'blocked') this.#checkCompatible(domain)
    this.release(device)
    if (domain.type === 'blocked') return
    const requesters = requesterIds(device)
    const id = this.#takeId(domain)
    this.#attachments.set(device, { domain, requesters })
    for (const requester of requesters) {
      // An id of a bridge may have its entry from a sibling; the domain is the same, as the group is.
      if (this.#contexts.has(requester)) continue
      this.#contexts.set(requester, {
        table: domain.table === null ? null : domain.table.root,
        addressWidth: this.#paging.levels - 2,
        domain: id,
      })
    }
  }

  /**
   * device_block_translation: clears the entries of every id of the device. As in Linux that includes
   * ids it shares with siblings behind a bridge, which then wait for their own next attach.
   */
  release(device: PciDevice): void {
    const attachment = this.#attachments.get(device)
    if (attachment === undefined) return
    this.#attachments.delete(device)
    const { domain, requesters } = attachment
    const id = this.#ids.get(domain)?.id ?? 0
    for (const requester of requesters) {
      this.#contexts.clear(requester)
      this.hardware.invalidateContext(requester)
    }
    this.hardware.invalidateDomain(id)
    this.#giveId(domain)
  }

  flushPages(domain: VtdDomain, firstPage: number, pages: number): void {
    const id = this.#ids.get(domain)?.id
    if (id !== undefined) this.hardware.invalidatePages(id, firstPage, pages)
  }

  /** Until 6.5 this driver refused users a device with an RMRR; later the core does. */
  #refuseRmrr(device: PciDevice, domain: VtdDomain): void {
    if (domain.type !== 'unmanaged' || atLeast(this.#context.version, 6, 6)) return
    if (describedRegions(this.#description, device).every(({ kind }) => kind !== 'direct')) return
    const who = `${device.driver?.name ?? 'pci'} ${device.name}`
    this.#context.log.push(
      `${who}: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.`,
    )
    throw new Errno('EPERM')
  }

  /** Tables made for another unit must be such as this one walks. */
  #checkCompatible(domain: VtdDomain): void {
    if (domain.table === null) {
      if (this.#capabilities.passThrough) return
      throw new Errno('EINVAL', 'no pass-through')
    }
    const own = this.#paging
    const theirs = domain.paging
    const fits =
      theirs.levels === own.levels &&
      theirs.superPages === own.superPages &&
      theirs.coherent === own.coherent &&
      theirs.bits <= own.bits &&
      (!theirs.snoop || this.#capabilities.snoopControl)
    if (!fits) throw new Errno('EINVAL', `${this.name} cannot walk these tables`)
  }

  #takeId(domain: VtdDomain): number {
    const held = this.#ids.get(domain)
    if (held !== undefined) {
      held.devices += 1
      return held.id
    }
    const reserved = domain.type === 'identity' ? this.#identityId : null
    const id = reserved ?? this.#freeIds.take()
    if (id === -1) throw new Errno('ENOSPC', 'no free domain ids')
    this.#ids.set(domain, { id, devices: 1 })
    domain.units.add(this)
    return id
  }

  #giveId(domain: VtdDomain): void {
    const held = this.#ids.get(domain)
    if (held === undefined) return
    held.devices -= 1
    if (held.devices > 0) return
    this.#ids.delete(domain)
    domain.units.delete(this)
    if (held.id !== this.#identityId) this.#freeIds.give(held.id)
  }

  /** Pass-through; without it, tables that map all memory to itself (si_domain_init). */
  #makeIdentity(): VtdDomain {
    if (this.#capabilities.passThrough) return new VtdDomain('identity', this.#paging, null)
    const domain = pagingDomain(this.#context.memory, 'identity', this.#paging)
    for (const { firstPage, pages } of this.#context.memory.ranges) {
      domain.map(firstPage, firstPage, pages, READ | WRITE)
    }
    return domain
  }
}

/** The widest tables the unit has (iommu_calculate_agaw); devices may use no more than MGAW of them. */
function pagingOf(capabilities: VtdCapabilities): VtdPaging {
  const width = [3, 2, 1].find((agaw) => ((capabilities.addressWidths >>> agaw) & 1) === 1)
  if (width === undefined) throw new Errno('ENODEV', 'no page tables that Linux can use')
  return {
    levels: width + 2,
    superPages: capabilities.superPages,
    bits: Math.min(30 + 9 * width, capabilities.guestBits),
    coherent: capabilities.coherent,
    snoop: false,
  }
}
