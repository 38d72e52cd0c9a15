/**
 * Groups come into a container and leave it: vfio_iommu_type1_attach_group and _detach_group.
 *
 * This is where contexts are merged. A new group first gets an address space of its own, which tells what
 * its IOMMU can do. If an existing one would do as well, the group moves there, and from then on its
 * devices walk the same page tables: one copy, one map operation, whatever the number of groups. If the
 * IOMMUs do not agree, the second address space stays, every mapping is repeated there, and each later one
 * is made twice.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { Errno } from '../errno.ts'
import type { Domain } from '../iommu/domain.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { ReservedRegion } from '../iommu/unit.ts'
import type { Mapping } from './dma-list.ts'
import { type IovaRange, isForbidden, restrict } from './iova-ranges.ts'
import { removeAllMappings } from './type1-map.ts'
import { smallestPages, type Type1Domain, type Type1State } from './type1-state.ts'

/**
 * @throws Errno EBUSY (virtual addresses are not valid now), EINVAL (attached already; addresses or
 *   mappings in conflict), EPERM (interrupts are not isolated), or what the IOMMU driver says
 */
export function attachToType1(state: Type1State, group: IommuGroup): void {
  if (state.invalidAddresses > 0) throw new Errno('EBUSY', 'virtual addresses are being updated')
  if (state.domains.some(({ groups }) => groups.includes(group))) throw new Errno('EINVAL')
  const { unit } = group
  if (unit === null) throw new Errno('EIO', 'no IOMMU')
  const fresh: Type1Domain = {
    domain: unit.createDomain('unmanaged'),
    kind: unit.kind,
    groups: [group],
  }
  let attached = false
  try {
    if (state.nesting) enableNesting(state, fresh)
    state.iommu.attachGroup(group, fresh.domain)
    attached = true
    const ranges = checkAddresses(state, group, fresh.domain)
    checkInterrupts(state, group)
    attached = false
    if (!joinExisting(state, group, fresh)) {
      attached = true
      replay(state, fresh.domain)
      state.domains.unshift(fresh)
    }
    state.ranges = ranges
    state.unitPages = smallestPages(state)
  } catch (error) {
    if (attached) state.iommu.detachGroup(group)
    fresh.domain.destroy()
    throw error
  }
}

/** The group goes back to what the core wants for it. With the last one all mappings vanish. */
export function detachFromType1(state: Type1State, group: IommuGroup): void {
  const entry = state.domains.find(({ groups }) => groups.includes(group))
  if (entry === undefined) return
  state.iommu.detachGroup(group)
  entry.groups.splice(entry.groups.indexOf(group), 1)
  if (entry.groups.length === 0) {
    if (state.domains.length === 1) removeAllMappings(state)
    state.domains.splice(state.domains.indexOf(entry), 1)
    entry.domain.destroy()
  }
  state.ranges = rangesOf(state)
  state.unitPages = smallestPages(state)
}

/** Only some Intel drivers, until their users turned out not to exist, and those of ARM. */
function enableNesting({ context: { version } }: Type1State, { kind }: Type1Domain): void {
  if (kind !== 'intel' || atLeast(version, 6, 6)) throw new Errno('EINVAL', 'no nesting')
}

/** What addresses are left once the group is in. @throws Errno EINVAL when mappings would be outside */
function checkAddresses(
  state: Type1State,
  group: IommuGroup,
  { geometry }: Domain,
): readonly IovaRange[] {
  const { ranges, mappings } = state
  const first = ranges[0]
  const last = ranges.at(-1)
  if (first !== undefined && last !== undefined) {
    if (geometry.firstPage > last.lastPage || geometry.lastPage < first.firstPage) {
      throw new Errno('EINVAL', 'the IOMMU can address nothing that the container uses')
    }
    const below = Math.max(0, geometry.firstPage - first.firstPage)
    const above = Math.max(0, last.lastPage - geometry.lastPage)
    const outside =
      mappings.find(first.firstPage, below) ?? mappings.find(geometry.lastPage + 1, above)
    if (outside !== undefined) throw new Errno('EINVAL', 'a mapping is out of reach of the IOMMU')
  }
  const regions = state.iommu.reservedRegions(group)
  if (regions.some((region) => isForbidden(region) && conflicts(state, region))) {
    throw new Errno('EINVAL', 'a mapping lies where the group has reserved addresses')
  }
  return restrict(ranges, geometry, regions)
}

function conflicts({ mappings }: Type1State, { firstPage, lastPage }: ReservedRegion): boolean {
  return mappings.find(firstPage, lastPage + 1 - firstPage) !== undefined
}

/** A user who can write to the interrupt window raises any interrupt, unless a table decides. */
function checkInterrupts({ iommu, context, parameters }: Type1State, group: IommuGroup): void {
  if (parameters.allowUnsafeInterrupts.value || iommu.isolatedMsi(group)) return
  context.log.push(
    'vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform',
  )
  throw new Errno('EPERM', 'interrupts are not remapped')
}

/**
 * Tries the existing address spaces, newest first.
 * @returns whether the group is in one of them; if not it is back in its own @throws Errno when that failed
 */
function joinExisting(state: Type1State, group: IommuGroup, fresh: Type1Domain): boolean {
  for (const existing of state.domains) {
    if (existing.kind !== fresh.kind) continue
    if (existing.domain.enforcesCoherency !== fresh.domain.enforcesCoherency) continue
    state.iommu.detachGroup(group)
    try {
      state.iommu.attachGroup(group, existing.domain)
    } catch (error) {
      if (!(error instanceof Errno)) throw error
      state.iommu.attachGroup(group, fresh.domain)
      continue
    }
    existing.groups.unshift(group)
    fresh.domain.destroy()
    return true
  }
  return false
}

/** vfio_iommu_replay(): all mappings again, in runs of physically contiguous pages. */
function replay(state: Type1State, domain: Domain): void {
  const done: Mapping[] = []
  try {
    for (const mapping of state.mappings) {
      done.push(mapping)
      let iovaPage = mapping.iovaPage
      for (const { firstPage, pages } of mapping.pinned) {
        domain.map(iovaPage, firstPage, pages, mapping.access)
        iovaPage += pages
      }
    }
  } catch (error) {
    for (const { iovaPage, pages } of done) domain.unmap(iovaPage, pages)
    throw error
  }
}

/** The list made anew from the groups that are left (vfio_iommu_aper_expand, _resv_refresh). */
function rangesOf({ domains, iommu }: Type1State): readonly IovaRange[] {
  let ranges: readonly IovaRange[] = []
  for (const { domain, groups } of domains) {
    const regions = groups.flatMap((group) => iommu.reservedRegions(group))
    ranges = restrict(ranges, domain.geometry, regions)
  }
  return ranges
}
