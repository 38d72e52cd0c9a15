/**
 * Host page table entries of AMD-Vi (specification 2.2.3): bit 0 present, 11:9 next level, 60 force
 * coherent, 61 readable, 62 writable. Next level 0 is a page of the level's own size. 7 is a page of
 * any other power of two: the address bits below its size are ones up to a zero just below, and the
 * entry is repeated wherever the page reaches.
 */
import { READ, WRITE } from '../domain.ts'
import { type EntryFormat, pageOf } from '../tables/entry-format.ts'

const PRESENT = 1
const NEXT_LEVEL = 9
const CODED_SIZE = 7 << NEXT_LEVEL
const COHERENT = 1 << 28
const READABLE = 1 << 29
const WRITABLE = 1 << 30

/** Orders below 512 GiB, the only power of two that the driver does not offer. */
const ORDERS = 27

export const AMD_PAGE_FORMAT: EntryFormat = {
  orders: 2 ** ORDERS - 1,
  present: PRESENT,
  tableLow: Array.from({ length: 7 }, (_, level) => PRESENT | ((level - 1) << NEXT_LEVEL)),
  tableHigh: READABLE | WRITABLE,
  pageLow: [0, PRESENT, PRESENT, PRESENT],
  pageHigh: [0, READ, WRITE, READ | WRITE].map(rights),
  sizeLow: Array.from({ length: ORDERS }, (_, order) => (order % 9 === 0 ? 0 : CODED_SIZE)),
  sizePages: Array.from({ length: ORDERS }, (_, order) =>
    order % 9 === 0 ? 0 : (1 << (order - 1)) - 1,
  ),
  isPage: (low, level) => level === 1 || nextLevel(low) === 0 || nextLevel(low) === 7,
  order: (low, high, level) =>
    nextLevel(low) === 7 ? codedOrder(pageOf(low, high)) : 9 * (level - 1),
}

function rights(access: number): number {
  return COHERENT | (access & READ ? READABLE : 0) | (access & WRITE ? WRITABLE : 0)
}

function nextLevel(low: number): number {
  return (low >>> NEXT_LEVEL) & 7
}

/** One more than the number of ones at the low end of the page number. */
function codedOrder(page: number): number {
  const zeros = ~(page | 0)
  return 32 - Math.clz32(zeros & -zeros)
}
