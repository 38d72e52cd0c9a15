/** What a container with the type1 IOMMU backend knows (struct vfio_iommu, vfio_iommu_type1.c). */
import type { KernelContext } from '../context.ts'
import type { Domain } from '../iommu/domain.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { IommuCore } from '../iommu/iommu-core.ts'
import type { IommuUnit } from '../iommu/unit.ts'
import type { DmaList } from './dma-list.ts'
import type { IovaRange } from './iova-ranges.ts'
import type { VfioParameters } from './module-parameters.ts'
import type { Words } from './user-buffer.ts'

/** An address space with the groups whose DMA goes through it: merged groups share one. */
export interface Type1Domain {
  readonly domain: Domain
  readonly kind: IommuUnit['kind']
  readonly groups: IommuGroup[]
}

export interface Type1State {
  readonly context: KernelContext
  readonly iommu: IommuCore
  readonly parameters: VfioParameters
  /** Unmapping works on whole mappings (VFIO_TYPE1v2_IOMMU). */
  readonly v2: boolean
  /** The user asked for nesting, which lets hardware walk a second stage of tables. */
  readonly nesting: boolean
  /** Newest first, as list_add makes them. Normally one. */
  readonly domains: Type1Domain[]
  readonly mappings: DmaList
  /** Empty = no domain yet. */
  ranges: readonly IovaRange[]
  /** Mappings that may still be made (dma_avail). */
  available: number
  /** The smallest page that every domain can map, in pages of 4 KiB. */
  unitPages: number
  /** Mappings whose virtual address is not valid. */
  invalidAddresses: number
  dirtyTracking: boolean
}

/** Page sizes that every domain can map, a bit for each (pgsize_bitmap). */
export function pageSizes({ domains }: Type1State): Words {
  let low = 0xffffffff
  let high = 0xffffffff
  for (const { domain } of domains) {
    low &= domain.pageSizes[0]
    high &= domain.pageSizes[1]
  }
  return [low >>> 0, high >>> 0]
}

/** The smallest of them, in pages of 4 KiB. */
export function smallestPages(state: Type1State): number {
  const [low, high] = pageSizes(state)
  const size = low !== 0 ? (low & -low) >>> 0 : ((high & -high) >>> 0) * 2 ** 32
  return Math.max(1, size / 4096)
}
