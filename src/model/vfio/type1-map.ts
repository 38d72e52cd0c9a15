/**
 * Mapping memory of a program for its devices: VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA.
 *
 *     virtual addresses --pin--> physical pages --map--> every domain of the container
 *
 * Pinned pages cannot move or be swapped, so they count as locked memory of the program that mapped
 * them; a page that is mapped twice counts twice. This is the path that programs run for every buffer,
 * so it works on page numbers and allocates little.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { Errno } from '../errno.ts'
import { READ, WRITE } from '../iommu/domain.ts'
import type { PinnedRun, Process } from '../process.ts'
import type { Mapping } from './dma-list.ts'
import { isAllowed } from './iova-ranges.ts'
import { checkBitmap, type DirtyBitmap, readBitmap, reportDirty } from './type1-dirty.ts'
import type { Type1State } from './type1-state.ts'
import { addressOf, type UserBuffer } from './user-buffer.ts'

const MAP_BYTES = 32
const MAP_READ = 1
const MAP_WRITE = 2
const MAP_VADDR = 4

const UNMAP_BYTES = 24
const UNMAP_GET_DIRTY = 1
const UNMAP_ALL = 2
const UNMAP_VADDR = 4
const BITMAP_BYTES = 24

/** Pages of the whole 64-bit address space. */
const ALL_PAGES = 2 ** 52

/** @throws Errno EINVAL, EEXIST, ENOSPC, EFAULT, ENOMEM, ENOENT */
export function mapDma(state: Type1State, buffer: UserBuffer, process: Process): void {
  buffer.need(MAP_BYTES)
  const flags = buffer.u32(4)
  if (buffer.u32(0) < MAP_BYTES || (flags & ~(MAP_READ | MAP_WRITE | MAP_VADDR)) !== 0) {
    throw new Errno('EINVAL')
  }
  const access = ((flags & MAP_READ) !== 0 ? READ : 0) | ((flags & MAP_WRITE) !== 0 ? WRITE : 0)
  const updates = (flags & MAP_VADDR) !== 0
  if ((access !== 0) === updates) throw new Errno('EINVAL', 'READ, WRITE or VADDR')

  const virtualPage = buffer.page(8)
  const iovaPage = buffer.page(16)
  const pages = buffer.page(24)
  const unit = state.unitPages
  const rest = (buffer.u32(8) | buffer.u32(16) | buffer.u32(24)) & 0xfff
  if (pages === 0 || rest !== 0 || !areMultiples(unit, pages, iovaPage, virtualPage)) {
    throw new Errno('EINVAL', 'not whole pages')
  }
  if (iovaPage + pages > ALL_PAGES || virtualPage + pages > ALL_PAGES) {
    throw new Errno('EINVAL', 'beyond the end of the address space')
  }
  const existing = wraps(state, { iovaPage, pages })
    ? undefined
    : state.mappings.find(iovaPage, pages)
  if (updates) {
    updateAddress(state, existing, iovaPage, pages, virtualPage)
    return
  }
  if (existing !== undefined) throw new Errno('EEXIST')
  if (state.available === 0) throw new Errno('ENOSPC', 'dma_entry_limit reached')
  if (!isAllowed(state.ranges, iovaPage, pages)) throw new Errno('EINVAL', 'outside the ranges')
  const unlimited = process.capabilities.has('CAP_IPC_LOCK')
  const pinned: PinnedRun[] = []
  const mapping: Mapping = {
    iovaPage,
    pages,
    virtualPage,
    access,
    process,
    unlimited,
    pinned,
    vaddrInvalid: false,
  }
  pinAndMap(state, mapping, pinned)
  state.available -= 1
  state.mappings.add(mapping)
}

function areMultiples(unit: number, pages: number, iovaPage: number, virtualPage: number): boolean {
  if (unit === 1) return true
  return pages % unit === 0 && iovaPage % unit === 0 && virtualPage % unit === 0
}

/** The program moved its memory (after an exec) and says where it is now. */
function updateAddress(
  state: Type1State,
  existing: Mapping | undefined,
  iovaPage: number,
  pages: number,
  virtualPage: number,
): void {
  if (existing === undefined) throw new Errno('ENOENT')
  const { vaddrInvalid, iovaPage: first, pages: size } = existing
  if (!vaddrInvalid || first !== iovaPage || size !== pages) throw new Errno('EINVAL')
  existing.virtualPage = virtualPage
  existing.vaddrInvalid = false
  state.invalidAddresses -= 1
}

/** vfio_pin_map_dma(): contiguous run by run; on failure nothing stays. */
function pinAndMap(state: Type1State, mapping: Mapping, pinned: PinnedRun[]): void {
  const { process, virtualPage, iovaPage, pages, access, unlimited } = mapping
  const { memory } = process
  const limit = Math.floor(memory.memlockLimit / 4096)
  let done = 0
  try {
    while (done < pages) {
      const run = memory.pin(virtualPage + done, pages - done)
      if (run === undefined) throw new Errno('EFAULT', 'nothing is mapped at the virtual address')
      if (!unlimited && memory.lockedPages + run.pages > limit) {
        run.unpin()
        const bytes = String(limit * 4096)
        state.context.log.push(`vfio_pin_pages_remote: RLIMIT_MEMLOCK (${bytes}) exceeded`)
        throw new Errno('ENOMEM', 'RLIMIT_MEMLOCK')
      }
      memory.lockedPages += run.pages
      pinned.push(run)
      mapEverywhere(state, iovaPage + done, run, access)
      done += run.pages
    }
  } catch (error) {
    if (done > 0) unmapEverywhere(state, iovaPage, done)
    unpin(mapping)
    throw error
  }
}

/** vfio_iommu_map(): in every domain or in none. */
function mapEverywhere(
  { domains }: Type1State,
  iovaPage: number,
  { firstPage, pages }: PinnedRun,
  access: number,
): void {
  let index = 0
  try {
    for (; index < domains.length; index += 1) {
      domains[index]?.domain.map(iovaPage, firstPage, pages, access)
    }
  } catch (error) {
    while (index > 0) {
      index -= 1
      domains[index]?.domain.unmap(iovaPage, pages)
    }
    throw error
  }
}

function unmapEverywhere({ domains }: Type1State, iovaPage: number, pages: number): void {
  for (const { domain } of domains) domain.unmap(iovaPage, pages)
}

function unpin({ process, pinned }: Mapping): void {
  for (const run of pinned) {
    process.memory.lockedPages -= run.pages
    run.unpin()
  }
}

/** vfio_remove_dma(), of neighbours: no device reaches the pages before they are let go. */
function removeMappings(state: Type1State, neighbours: readonly Mapping[]): void {
  for (const mapping of neighbours) {
    unmapEverywhere(state, mapping.iovaPage, mapping.pages)
    unpin(mapping)
    if (mapping.vaddrInvalid) state.invalidAddresses -= 1
  }
  state.mappings.remove(neighbours)
  state.available += neighbours.length
}

/** The last group left. */
export function removeAllMappings(state: Type1State): void {
  removeMappings(state, [...state.mappings])
}

/** Writes the size unmapped back. @throws Errno EINVAL, EFAULT */
export function unmapDma(state: Type1State, buffer: UserBuffer, process: Process): void {
  buffer.need(UNMAP_BYTES)
  const flags = buffer.u32(4)
  if (buffer.u32(0) < UNMAP_BYTES || (flags & ~(UNMAP_GET_DIRTY | UNMAP_ALL | UNMAP_VADDR)) !== 0) {
    throw new Errno('EINVAL')
  }
  const wantsDirty = (flags & UNMAP_GET_DIRTY) !== 0
  if (wantsDirty && flags !== UNMAP_GET_DIRTY) throw new Errno('EINVAL')
  const bitmap = wantsDirty ? unmapBitmap(buffer) : null

  const range = unmapRange(state, buffer, (flags & UNMAP_ALL) !== 0)
  if (bitmap !== null && (!state.dirtyTracking || bitmap.pagePages !== state.unitPages)) {
    throw new Errno('EINVAL')
  }
  const all = (flags & UNMAP_ALL) !== 0
  if (state.v2 && !all) state.mappings.refuseBisecting(range.iovaPage, range.pages)
  const reached = all || !wraps(state, range)
  let unmapped = 0
  if (reached && (flags & UNMAP_VADDR) !== 0) unmapped = invalidateAddresses(state, range)
  else if (reached) unmapped = unmapRangeNow(state, range, bitmap, process)
  buffer.setU64(16, addressOf(unmapped))
}

/**
 * Up to 6.17 the end of a range that reaches the last address is 0: no mapping lies below it, so none is found
 * (vfio_find_dma, vfio_find_dma_first_node).
 */
function wraps({ context }: Type1State, { iovaPage, pages }: PageRange): boolean {
  return iovaPage + pages === ALL_PAGES && !atLeast(context.version, 6, 18)
}

function unmapBitmap(buffer: UserBuffer): DirtyBitmap {
  if (buffer.u32(0) < UNMAP_BYTES + BITMAP_BYTES) throw new Errno('EINVAL')
  const bitmap = readBitmap(buffer, UNMAP_BYTES)
  checkBitmap(bitmap, buffer.u64(16))
  return bitmap
}

interface PageRange {
  readonly iovaPage: number
  readonly pages: number
}

function unmapRange(state: Type1State, buffer: UserBuffer, all: boolean): PageRange {
  const unit = state.unitPages
  const iovaPage = buffer.page(8)
  const pages = buffer.page(16)
  const iovaRest = buffer.u32(8) & 0xfff
  const sizeRest = buffer.u32(16) & 0xfff
  if (iovaRest !== 0 || iovaPage % unit !== 0) throw new Errno('EINVAL')
  if (all) {
    if (iovaPage !== 0 || pages !== 0 || sizeRest !== 0) throw new Errno('EINVAL')
    return { iovaPage: 0, pages: ALL_PAGES }
  }
  if (pages === 0 || sizeRest !== 0 || pages % unit !== 0 || iovaPage + pages > ALL_PAGES) {
    throw new Errno('EINVAL')
  }
  return { iovaPage, pages }
}

/**
 * In version 1, a range that begins inside a mapping unmaps nothing; one that covers the beginning of a
 * mapping unmaps all of it.
 * @returns pages unmapped
 */
function unmapRangeNow(
  state: Type1State,
  { iovaPage, pages }: PageRange,
  bitmap: DirtyBitmap | null,
  process: Process,
): number {
  const within = state.mappings.within(iovaPage, pages)
  const startsInside = !state.v2 && (within[0]?.iovaPage ?? iovaPage) < iovaPage
  if (startsInside) return 0
  let unmapped = 0
  for (const mapping of within) {
    if (bitmap !== null) reportDirty(bitmap, mapping, iovaPage, process)
    unmapped += mapping.pages
  }
  removeMappings(state, within)
  return unmapped
}

/** The program is about to replace itself: its addresses mean nothing until it says the new ones. */
function invalidateAddresses(state: Type1State, { iovaPage, pages }: PageRange): number {
  const mappings = state.mappings
    .within(iovaPage, pages)
    .filter((mapping) => state.v2 || iovaPage <= mapping.iovaPage)
  if (mappings.some(({ vaddrInvalid }) => vaddrInvalid)) {
    // Those before the first invalid one were made invalid and valid again.
    throw new Errno('EINVAL', 'a virtual address is not valid already')
  }
  for (const mapping of mappings) mapping.vaddrInvalid = true
  state.invalidAddresses += mappings.length
  return mappings.reduce((sum, mapping) => sum + mapping.pages, 0)
}
