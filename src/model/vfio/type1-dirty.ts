/**
 * Which pages devices may have written, for live migration: VFIO_IOMMU_DIRTY_PAGES.
 *
 * Neither hardware nor drivers of the model report single pages, as on most hosts: while tracking is on,
 * every page that is mapped counts as written.
 */
import { Errno } from '../errno.ts'
import type { Process } from '../process.ts'
import type { Mapping } from './dma-list.ts'
import type { Type1State } from './type1-state.ts'
import { copyToUser, sizedBuffer, type UserBuffer, type Words } from './user-buffer.ts'

const START = 1
const STOP = 2
const GET_BITMAP = 4
const HEADER = 8
/** iova, size, bitmap {pgsize, size, data} */
const RANGE_BYTES = 40
/** DIRTY_BITMAP_SIZE_MAX: a bit for each of 2^31 pages. */
export const MAX_BITMAP_BYTES = 0x10000000

/** struct vfio_bitmap. */
export interface DirtyBitmap {
  /** Bytes that a bit stands for, as a power of two; 0 when the user gave none. */
  readonly pageShift: number
  /** The same in pages of 4 KiB, if it is exactly one power of two; else NaN. */
  readonly pagePages: number
  /** Bytes of the bitmap. */
  readonly bytes: number
  /** Where it is in memory of the program. */
  readonly address: number
}

export function readBitmap(buffer: UserBuffer, offset: number): DirtyBitmap {
  const [low, high] = buffer.u64(offset)
  const [sizeLow, sizeHigh] = buffer.u64(offset + 8)
  const [addressLow, addressHigh] = buffer.u64(offset + 16)
  const address = addressHigh * 2 ** 32 + addressLow
  const bytes = sizeHigh * 2 ** 32 + sizeLow
  // access_ok(): user space ends at 2^47.
  if (address + bytes > 2 ** 47) throw new Errno('EINVAL')
  const shift = low !== 0 ? 31 - Math.clz32(low & -low) : 63 - Math.clz32(high & -high)
  const single = low + high * 2 ** 32 === 2 ** shift
  return { pageShift: shift, pagePages: single ? 2 ** shift / 4096 : NaN, bytes, address }
}

/** verify_bitmap_size() @param size bytes of the range @throws Errno EINVAL */
export function checkBitmap({ pageShift, bytes }: DirtyBitmap, size: Words): void {
  const pages = Math.floor((size[1] * 2 ** 32 + size[0]) / 2 ** pageShift)
  const needed = Math.ceil(pages / 64) * 8
  if (pages === 0 || bytes === 0 || bytes > MAX_BITMAP_BYTES || bytes < needed) {
    throw new Errno('EINVAL', 'the bitmap has the wrong size')
  }
}

/** @throws Errno EACCES (version 1), EINVAL, EFAULT */
export function dirtyPages(state: Type1State, argument: UserBuffer, process: Process): void {
  if (!state.v2) throw new Errno('EACCES')
  const buffer = sizedBuffer(argument.bytes, HEADER)
  switch (buffer.u32(4)) {
    case START:
      state.dirtyTracking = true
      return
    case STOP:
      state.dirtyTracking = false
      return
    case GET_BITMAP:
      getBitmap(state, buffer, process)
      return
    default:
      throw new Errno('EINVAL', 'one flag at a time')
  }
}

function getBitmap(state: Type1State, buffer: UserBuffer, process: Process): void {
  if (buffer.u32(0) - HEADER < RANGE_BYTES) throw new Errno('EINVAL')
  buffer.need(HEADER + RANGE_BYTES)
  const iova = buffer.u64(8)
  const size = buffer.u64(16)
  const iovaPage = buffer.page(8)
  const pages = buffer.page(16)
  if (iovaPage + pages >= 2 ** 52) throw new Errno('EINVAL')
  const bitmap = readBitmap(buffer, 24)
  checkBitmap(bitmap, size)
  const unit = state.unitPages
  if (bitmap.pagePages !== unit) throw new Errno('EINVAL', 'only the smallest page size')
  if (((iova[0] | size[0]) & 0xfff) !== 0 || iovaPage % unit !== 0) throw new Errno('EINVAL')
  if (pages === 0 || pages % unit !== 0) throw new Errno('EINVAL')
  if (!state.dirtyTracking) throw new Errno('EINVAL', 'not tracking')
  state.mappings.refuseBisecting(iovaPage, pages)
  for (const mapping of state.mappings.within(iovaPage, pages)) {
    reportDirty(bitmap, mapping, iovaPage, process)
  }
}

/** update_user_bitmap(): all pages of one mapping; bits that precede it in its first word are kept. */
export function reportDirty(
  { pagePages, address }: DirtyBitmap,
  mapping: Mapping,
  basePage: number,
  process: Process,
): void {
  const firstBit = (mapping.iovaPage - basePage) / pagePages
  const bits = mapping.pages / pagePages
  const shift = firstBit % 64
  const at = address + Math.floor(firstBit / 64) * 8
  const words = new Uint8Array(Math.ceil((bits + shift) / 64) * 8)
  if (shift > 0) {
    const before = process.memory.copyFrom(at, 8)
    if (before === null) throw new Errno('EFAULT')
    for (let bit = 0; bit < shift; bit += 1)
      words[bit >> 3] = (words[bit >> 3] ?? 0) | ((before[bit >> 3] ?? 0) & (1 << (bit & 7)))
  }
  for (let bit = shift; bit < shift + bits; bit += 1) {
    words[bit >> 3] = (words[bit >> 3] ?? 0) | (1 << (bit & 7))
  }
  copyToUser(process, at, words)
}
