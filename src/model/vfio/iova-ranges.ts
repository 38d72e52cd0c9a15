/**
 * Which IOVAs a container may use: what every domain's hardware can address, less what any group has
 * reserved (vfio_iommu_aper_resize and vfio_iommu_resv_exclude, drivers/vfio/vfio_iommu_type1.c).
 * Page numbers, ends inclusive.
 */
import { Errno } from '../errno.ts'
import type { Geometry } from '../iommu/domain.ts'
import type { ReservedRegion } from '../iommu/unit.ts'

export interface IovaRange {
  readonly firstPage: number
  readonly lastPage: number
}

/**
 * Ranges after one more domain and group; the first domain makes the list.
 * @throws Errno EINVAL when nothing is left
 */
export function restrict(
  ranges: readonly IovaRange[],
  geometry: Geometry,
  regions: readonly ReservedRegion[],
): readonly IovaRange[] {
  const inside =
    ranges.length === 0
      ? [{ firstPage: geometry.firstPage, lastPage: geometry.lastPage }]
      : ranges.flatMap((range) => intersect(range, geometry))
  return exclude(inside, regions)
}

function intersect(range: IovaRange, { firstPage, lastPage }: Geometry): readonly IovaRange[] {
  const first = Math.max(range.firstPage, firstPage)
  const last = Math.min(range.lastPage, lastPage)
  return first <= last ? [{ firstPage: first, lastPage: last }] : []
}

function exclude(
  ranges: readonly IovaRange[],
  regions: readonly ReservedRegion[],
): readonly IovaRange[] {
  let left = ranges
  for (const region of regions) {
    if (!isForbidden(region)) continue
    left = left.flatMap((range) => without(range, region))
  }
  if (left.length === 0) throw new Errno('EINVAL', 'no addresses are left')
  return left
}

/** Memory that firmware uses only until a driver takes over may be mapped over. */
export function isForbidden(region: ReservedRegion): boolean {
  return region.kind !== 'direct-relaxable'
}

function without(range: IovaRange, hole: IovaRange): readonly IovaRange[] {
  if (hole.firstPage > range.lastPage || hole.lastPage < range.firstPage) return [range]
  const parts: IovaRange[] = []
  if (hole.firstPage > range.firstPage) {
    parts.push({ firstPage: range.firstPage, lastPage: hole.firstPage - 1 })
  }
  if (hole.lastPage < range.lastPage) {
    parts.push({ firstPage: hole.lastPage + 1, lastPage: range.lastPage })
  }
  return parts
}

/** vfio_iommu_iova_dma_valid(): within one range; without a list everything is. */
export function isAllowed(ranges: readonly IovaRange[], firstPage: number, pages: number): boolean {
  if (ranges.length === 0) return true
  const lastPage = firstPage + pages - 1
  return ranges.some((range) => firstPage >= range.firstPage && lastPage <= range.lastPage)
}
