/**
 * Second-level page table entries of VT-d (specification 9.8): bit 0 read, bit 1 write, bit 7 page size,
 * bit 11 snoop. Absent = neither read nor write.
 */
import { READ, WRITE } from '../domain.ts'
import type { EntryFormat } from '../tables/entry-format.ts'

const LARGE = 0x80
const SNOOP = 0x800

/** Every domain has one, and there are only eight: by superPages and snoop. */
const FORMATS: (EntryFormat | undefined)[] = Array.from({ length: 8 }, () => undefined)

/**
 * @param superPages bit 0: 2 MiB, bit 1: 1 GiB
 * @param snoop every page is marked so that the hardware ignores "no snoop" of devices
 */
export function pageFormat(superPages: number, snoop: boolean): EntryFormat {
  const at = (superPages & 3) | (snoop ? 4 : 0)
  const format = FORMATS[at] ?? newFormat(superPages, snoop)
  FORMATS[at] = format
  return format
}

function newFormat(superPages: number, snoop: boolean): EntryFormat {
  const twoMib = (superPages & 1) << 9
  const oneGib = ((superPages >>> 1) & 1) << 18
  const extra = snoop ? SNOOP : 0
  return {
    orders: 1 | twoMib | oneGib,
    present: READ | WRITE,
    tableLow: Array.from({ length: 7 }, () => READ | WRITE),
    tableHigh: 0,
    pageLow: [0, READ | extra, WRITE | extra, READ | WRITE | extra],
    pageHigh: [0, 0, 0, 0],
    sizeLow: Array.from({ length: 27 }, (_, order) => (order === 0 ? 0 : LARGE)),
    sizePages: Array.from({ length: 27 }, () => 0),
    isPage: (low, level) => level === 1 || (low & LARGE) !== 0,
    order: (_low, _high, level) => 9 * (level - 1),
  }
}
