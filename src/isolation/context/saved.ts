/** What groups that share one context save against a context for each. */
import type { ContextUse } from '../live-host.ts'

/** An entry of 8 bytes for each page of 4 KiB, the lowest level of every IOMMU's tables. */
const TABLE_SHARE = 8 / 4096

export interface Saved {
  /** Bytes. */
  readonly locked: number
  /** Bytes, at most: larger pages need fewer entries. */
  readonly tables: number
}

/** What a context for each group would take beside. Null: one group shares with nobody, several contexts tell nothing. */
export function savedBy({ containers, groups, locked }: ContextUse): Saved | null {
  if (containers !== 1 || groups.length < 2 || !locked.known) return null
  const bytes = locked.value * (groups.length - 1)
  return { locked: bytes, tables: Math.ceil(bytes * TABLE_SHARE) }
}
