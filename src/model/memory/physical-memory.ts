/**
 * The memory of the modelled machine, in pages of 4 KiB, allocated when used.
 *
 * Addresses are page numbers (address / 4096) plus an offset: page numbers of 64-bit addresses fit a
 * JavaScript number exactly, addresses above 2^53 would not. Page tables live here in the hardware's own
 * format, as 32-bit little-endian words; user memory lives here too, so that what a device writes is
 * what the program reads.
 */
export interface PhysicalMemory {
  /** Pages in the machine. */
  readonly totalPages: number
  /** Pages handed out now. */
  readonly usedPages: number
  /**
   * Zeroed pages, physically contiguous, aligned to `alignment` pages (a power of two).
   * @returns the first page number @throws Errno ENOMEM
   */
  allocate(pages: number, alignment?: number): number
  free(firstPage: number, pages: number): void
  /** Bytes of pages that were allocated together. Shared, not copied. */
  bytes(firstPage: number, pages: number): Uint8Array
  /** The 1024 words of one page. Shared. @throws Errno EFAULT when there is no memory */
  words(page: number): Uint32Array
}
