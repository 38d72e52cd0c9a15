/**
 * What differs between the page tables of IOMMUs that are trees of 512 entries of 8 bytes: which bits an
 * entry has. The driver's side; the hardware's side (vtd/ and amd/ walkers) reads the same bits with
 * code of its own, so that each checks the other.
 *
 * A size is an order: 2^order pages of 4 KiB. Entries of level n span 2^(9 (n - 1)) pages; a page whose
 * size lies between two levels is written as several equal entries (AMD).
 */
export interface EntryFormat {
  /** Bit n set: pages of order n can be mapped. Bit 0 always is; orders up to 26. */
  readonly orders: number
  /** An entry is in use when one of these bits of its low word is set. */
  readonly present: number
  /** Low and high words of an entry of a level that points to a table, without the address. */
  readonly tableLow: readonly number[]
  readonly tableHigh: number
  /** Low and high words of a page's entry by access (READ | WRITE), without address and size. */
  readonly pageLow: readonly number[]
  readonly pageHigh: readonly number[]
  /** By order: bits of the low word that tell the size ... */
  readonly sizeLow: readonly number[]
  /** ... and what is added to the page number to tell it. */
  readonly sizePages: readonly number[]
  /** Whether an entry of a level (from its low word) is a page, not a table. */
  isPage(low: number, level: number): boolean
  /** Order of a page from its entry. */
  order(low: number, high: number, level: number): number
}

/** Page number of an entry's address field, bits 51:12. */
export function pageOf(low: number, high: number): number {
  return (high & 0xfffff) * 0x100000 + (low >>> 12)
}
