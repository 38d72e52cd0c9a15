/**
 * Addresses that devices of a group must not use freely, as `reserved_regions` shows them:
 * iommu_insert_resv_region() and iommu_group_show_resv_regions() of drivers/iommu/iommu.c.
 *
 * A device's own list comes from its IOMMU driver: the interrupt window, windows the hardware keeps for
 * itself, and memory that firmware goes on using (RMRR, unity maps), which must stay mapped 1:1.
 */
import type { ReservedRegion } from './unit.ts'

type Kind = ReservedRegion['kind']

/** enum iommu_resv_type, whose order breaks ties. */
const KINDS: readonly Kind[] = ['direct', 'direct-relaxable', 'reserved', 'msi']

/**
 * One list out of those of all members: sorted by start and kind; regions of one kind that overlap or
 * touch become one.
 */
export function mergeRegions(regions: readonly ReservedRegion[]): readonly ReservedRegion[] {
  const sorted = [...regions].sort(
    (a, b) => a.firstPage - b.firstPage || KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind),
  )
  const merged: ReservedRegion[] = []
  /** Where the last region of each kind is. */
  const last = new Map<Kind, number>()
  for (const region of sorted) {
    const index = last.get(region.kind)
    const top = index === undefined ? undefined : merged[index]
    if (index === undefined || top === undefined || region.firstPage > top.lastPage + 1) {
      last.set(region.kind, merged.length)
      merged.push(region)
    } else {
      merged[index] = { ...top, lastPage: Math.max(top.lastPage, region.lastPage) }
    }
  }
  return merged
}

/** The text of the file: "0x%016llx 0x%016llx %s\n" for each, ends inclusive. */
export function formatRegions(regions: readonly ReservedRegion[]): string {
  return regions
    .map(({ firstPage, lastPage, kind }) => {
      const start = `0x${firstPage.toString(16).padStart(13, '0')}000`
      const end = `0x${lastPage.toString(16).padStart(13, '0')}fff`
      return `${start} ${end} ${kind}\n`
    })
    .join('')
}
