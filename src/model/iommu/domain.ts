/**
 * An IOMMU domain: one address space (a "context" in this project's words), whatever hardware format it
 * has. Any number of groups may point at one.
 */
export type DomainType = 'identity' | 'blocked' | 'DMA' | 'DMA-FQ' | 'unmanaged'

export interface Geometry {
  /** First and last usable IOVA page, inclusive. */
  readonly firstPage: number
  readonly lastPage: number
}

export const READ = 1
export const WRITE = 2

export interface Domain {
  /** Written once: DMA becomes DMA-FQ while in use when somebody asks for it (group-type.ts). */
  type: DomainType
  readonly geometry: Geometry
  /** Sizes a mapping can have, in bytes, as a bit mask split in words: VT-d 0x40201000. */
  readonly pageSizes: readonly [low: number, high: number]
  /** Whether the unit enforces cache coherency for it (no-snoop is ignored). */
  readonly enforcesCoherency: boolean
  /**
   * Maps physically contiguous pages, with the largest page sizes that fit. Page numbers are IOVA or
   * address divided by 4096. @param access READ | WRITE
   * @throws Errno EEXIST (something is mapped there), EINVAL (outside the geometry), ENOMEM
   */
  map(iovaPage: number, physicalPage: number, pages: number, access: number): void
  /**
   * Unmaps whole mappings; one that reaches beyond the range is unmapped whole, as hardware page sizes
   * make it. @returns pages unmapped
   */
  unmap(iovaPage: number, pages: number): number
  /** @returns the physical page, or -1 */
  physicalPage(iovaPage: number): number
  /** Bytes of page tables in use now. */
  readonly tableBytes: number
  /** Frees the tables. Nothing may be attached any more. */
  destroy(): void
}
