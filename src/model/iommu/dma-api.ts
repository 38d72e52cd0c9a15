/**
 * DMA as kernel drivers see it: a buffer becomes an address that a device may use, and stops being one
 * (drivers/iommu/dma-iommu.c; the seed's dma_ops).
 *
 *     device -> its group -> the group's default domain -> a free IOVA, mapped to the buffer
 *
 * All kernel drivers of a group share that domain: they trust each other. Without a group (no IOMMU, or
 * one that only translates) and in an identity domain the address is the physical one.
 */
import type { KernelContext } from '../context.ts'
import type { Device } from '../driver-core/device.ts'
import { type Domain, READ, WRITE } from './domain.ts'
import type { IommuGroup } from './group.ts'
import { IovaSpace, LAST_32BIT_PAGE } from './iova-space.ts'
import type { ReservedRegion } from './unit.ts'

/** Memory that a driver and its device both see all the time. Page numbers. */
export interface CoherentMemory {
  /** What the device uses. */
  readonly iovaPage: number
  /** What the driver uses. */
  readonly physicalPage: number
  readonly pages: number
}

/** What the allocator must know of a group; IommuCore. */
interface Regions {
  reservedRegions(group: IommuGroup): readonly ReservedRegion[]
}

export class DmaApi {
  readonly #context: KernelContext
  readonly #regions: Regions
  readonly #spaces = new WeakMap<Domain, IovaSpace>()

  constructor(context: KernelContext, regions: Regions) {
    this.#context = context
    this.#regions = regions
  }

  /**
   * dma_map_page(): lets the device reach physically contiguous pages.
   * @param access READ | WRITE, from the device's point of view
   * @returns the first page of the DMA address @throws Errno ENOMEM
   */
  map(device: Device, physicalPage: number, pages: number, access: number): number {
    const translated = translatedDomain(device)
    if (translated === null) return physicalPage
    const { group, domain } = translated
    const space = this.#space(group, domain)
    const iovaPage = allocate(space, pages, domain.geometry.lastPage)
    try {
      domain.map(iovaPage, physicalPage, pages, access)
    } catch (error) {
      space.free(iovaPage)
      throw error
    }
    return iovaPage
  }

  /** dma_unmap_page(): with the same numbers as the map. */
  unmap(device: Device, iovaPage: number, pages: number): void {
    const translated = translatedDomain(device)
    if (translated === null) return
    const { group, domain } = translated
    domain.unmap(iovaPage, pages)
    this.#space(group, domain).free(iovaPage)
  }

  /** dma_alloc_coherent() @throws Errno ENOMEM */
  allocateCoherent(device: Device, pages: number): CoherentMemory {
    const physicalPage = this.#context.memory.allocate(pages)
    try {
      const iovaPage = this.map(device, physicalPage, pages, READ | WRITE)
      return { iovaPage, physicalPage, pages }
    } catch (error) {
      this.#context.memory.free(physicalPage, pages)
      throw error
    }
  }

  /** dma_free_coherent() */
  freeCoherent(device: Device, { iovaPage, physicalPage, pages }: CoherentMemory): void {
    this.unmap(device, iovaPage, pages)
    this.#context.memory.free(physicalPage, pages)
  }

  #space(group: IommuGroup, domain: Domain): IovaSpace {
    let space = this.#spaces.get(domain)
    if (space === undefined) {
      space = new IovaSpace(domain.geometry, this.#regions.reservedRegions(group))
      this.#spaces.set(domain, space)
    }
    return space
  }
}

/** iommu_get_dma_domain(): always the default domain, whatever the group is attached to now. */
function translatedDomain(device: Device): { group: IommuGroup; domain: Domain } | null {
  const group = device.iommuGroup
  const domain = group?.defaultDomain ?? null
  if (group === null || domain === null) return null
  return domain.type === 'DMA' || domain.type === 'DMA-FQ' ? { group, domain } : null
}

/** Below 4 GiB as long as there is room: such addresses fit in shorter packets (PCI single address cycle). */
function allocate(space: IovaSpace, pages: number, lastPage: number): number {
  if (lastPage > LAST_32BIT_PAGE) {
    try {
      return space.allocate(pages, LAST_32BIT_PAGE)
    } catch {
      // Full: the rest of the address space is as good.
    }
  }
  return space.allocate(pages, lastPage)
}
