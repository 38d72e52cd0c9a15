/**
 * The memory of the modelled machine, in pages of 4 KiB, backed when used.
 *
 * Addresses are page numbers (address / 4096) plus an offset: page numbers of 64-bit addresses fit a
 * JavaScript number exactly, addresses above 2^53 would not. Page tables live here in the hardware's own
 * format, as 32-bit little-endian words; user memory lives here too, so that what a device writes is
 * what the program reads.
 *
 * As on a PC, the last GiB below 4 GiB is no memory but the place of device registers and of the
 * interrupt window; what memory would be there continues at 4 GiB. Page 0 is never handed out.
 *
 * Memory is backed in chunks of 256 KiB: a machine that uses ten pages is booted a thousand times a second.
 * An allocation larger than a chunk gets one buffer for all its chunks, so that any allocation is one
 * contiguous array of bytes.
 */
import { Errno } from '../errno.ts'

export interface PhysicalMemory {
  /** Pages in the machine. */
  readonly totalPages: number
  /** Pages handed out now. */
  readonly usedPages: number
  /** Where memory is, in ascending order: one range, or two around the hole below 4 GiB. */
  readonly ranges: readonly MemoryRange[]
  /**
   * Zeroed pages, physically contiguous, aligned to `alignment` pages (a power of two).
   * @returns the first page number @throws Errno ENOMEM
   */
  allocate(pages: number, alignment?: number): number
  free(firstPage: number, pages: number): void
  /** Bytes of pages that were allocated together. Shared, not copied. @throws Errno EFAULT */
  bytes(firstPage: number, pages: number): Uint8Array
  /** The 1024 words of one page. Shared. @throws Errno EFAULT when there is no memory */
  words(page: number): Uint32Array
  /** One word of a page (0-1023), for hot paths; -1 when there is no memory at that page. */
  word(page: number, index: number): number
  /** @throws Errno EFAULT when there is no memory */
  setWord(page: number, index: number, value: number): void
}

export interface MemoryRange {
  readonly firstPage: number
  readonly pages: number
}

/** A chunk has 2^6 pages. */
const CHUNK_BITS = 6
const CHUNK = 2 ** CHUNK_BITS
/** Bits of a page number that say where in its chunk it is. */
const WITHIN = CHUNK - 1
/** First page of the hole for device registers (3 GiB), and where memory goes on (4 GiB). */
const HOLE = 0xc0000
const ABOVE_HOLE = 0x100000

/** @param bytes size of the memory; a rest of less than a page is lost */
export function physicalMemory(bytes: number): PhysicalMemory {
  return new ChunkedMemory(Math.floor(bytes / 4096))
}

/** A class for the sake of `word` and `setWord`, which page walks call by the million. */
class ChunkedMemory implements PhysicalMemory {
  readonly totalPages: number
  readonly ranges: readonly MemoryRange[]
  usedPages = 0
  /** One more than the highest page. */
  readonly #end: number
  /** Backing by chunk; absent until something is written or allocated there. */
  readonly #backing: (Uint32Array | undefined)[] = []
  /** A bit per page, two words per chunk: handed out, or not there to be. */
  readonly #taken: (Uint32Array | undefined)[] = []
  /** No chunk below this one has a free page. */
  #firstFree = 0

  constructor(pages: number) {
    this.totalPages = pages
    const low = { firstPage: 0, pages: Math.min(pages, HOLE) }
    const high = { firstPage: ABOVE_HOLE, pages: pages - low.pages }
    this.ranges = high.pages === 0 ? [low] : [low, high]
    this.#end = high.pages === 0 ? pages : high.firstPage + high.pages
  }

  word(page: number, index: number): number {
    if (page < this.#end) {
      const words = this.#backing[page >>> CHUNK_BITS]
      if (words !== undefined) return words[((page & WITHIN) << 10) | index] ?? -1
    }
    return this.#exists(page) ? 0 : -1
  }

  setWord(page: number, index: number, value: number): void {
    const words = page < this.#end ? this.#backing[page >>> CHUNK_BITS] : undefined
    const target = words ?? this.#back(page)
    target[((page & WITHIN) << 10) | index] = value
  }

  words(page: number): Uint32Array {
    const words =
      (page < this.#end ? this.#backing[page >>> CHUNK_BITS] : undefined) ?? this.#back(page)
    const first = (page & WITHIN) << 10
    return words.subarray(first, first + 1024)
  }

  bytes(firstPage: number, pages: number): Uint8Array {
    const words = this.words(firstPage)
    if (words.byteOffset + pages * 4096 > words.buffer.byteLength) {
      throw new Errno('EFAULT', `${String(pages)} pages were not allocated together`)
    }
    return new Uint8Array(words.buffer, words.byteOffset, pages * 4096)
  }

  allocate(pages: number, alignment = 1): number {
    if (pages < 1) throw new Errno('EINVAL', 'nothing to allocate')
    if (pages === 1 && alignment === 1) return this.#allocatePage()
    const first =
      pages > CHUNK || alignment > CHUNK
        ? this.#allocateChunks(pages, Math.max(1, alignment / CHUNK))
        : this.#allocateWithin(pages, alignment)
    this.usedPages += pages
    return first
  }

  free(firstPage: number, pages: number): void {
    for (let page = firstPage; page < firstPage + pages; page += 1) {
      if (!this.#isTaken(page)) throw new Error(`page ${page.toString(16)} is freed twice`)
      this.#mark(page, false)
    }
    this.usedPages -= pages
    const first = firstPage >>> CHUNK_BITS
    const last = (firstPage + pages - 1) >>> CHUNK_BITS
    this.#firstFree = Math.min(this.#firstFree, first)
    for (let chunk = first; chunk <= last; chunk += 1) this.#dropShared(chunk)
  }

  #exists(page: number): boolean {
    return page >= 0 && page < this.#end && (page < HOLE || page >= ABOVE_HOLE)
  }

  #back(page: number): Uint32Array {
    if (!this.#exists(page)) {
      throw new Errno('EFAULT', `there is no memory at page ${page.toString(16)}`)
    }
    // A small machine ends inside its chunk.
    const made = new Uint32Array(Math.min(CHUNK, this.#end - (page & ~WITHIN)) * 1024)
    this.#backing[page >>> CHUNK_BITS] = made
    return made
  }

  /** The bits of a chunk; pages that do not exist and page 0 count as taken. */
  #bits(chunk: number): Uint32Array {
    let bits = this.#taken[chunk]
    if (bits === undefined) {
      bits = new Uint32Array(CHUNK / 32)
      this.#taken[chunk] = bits
      const first = chunk * CHUNK
      for (let page = first; page < first + CHUNK; page += 1) {
        if (page === 0 || !this.#exists(page)) this.#mark(page, true)
      }
    }
    return bits
  }

  #isTaken(page: number): boolean {
    return (
      (((this.#bits(page >>> CHUNK_BITS)[(page & WITHIN) >>> 5] ?? 0) >>> (page & 31)) & 1) === 1
    )
  }

  #mark(page: number, taken: boolean): void {
    const bits = this.#bits(page >>> CHUNK_BITS)
    const word = (page & WITHIN) >>> 5
    const bit = 1 << (page & 31)
    bits[word] = taken ? (bits[word] ?? 0) | bit : (bits[word] ?? 0) & ~bit
  }

  /** The lowest free page. */
  #allocatePage(): number {
    const chunks = Math.ceil(this.#end / CHUNK)
    for (let chunk = this.#firstFree; chunk < chunks; chunk += 1) {
      this.#firstFree = chunk
      const page = this.#freePage(chunk)
      if (page === -1) continue
      this.#mark(page, true)
      const words = this.#backing[chunk]
      if (words === undefined) this.#back(page)
      else words.fill(0, (page & WITHIN) << 10, ((page & WITHIN) + 1) << 10)
      this.usedPages += 1
      return page
    }
    throw new Errno('ENOMEM')
  }

  #allocateWithin(pages: number, alignment: number): number {
    const chunks = Math.ceil(this.#end / CHUNK)
    for (let chunk = this.#firstFree; chunk < chunks; chunk += 1) {
      const first = this.#freeRun(chunk, pages, alignment)
      if (first === -1) continue
      for (let page = first; page < first + pages; page += 1) this.#mark(page, true)
      const words = this.#backing[chunk]
      if (words === undefined) this.#back(first)
      else words.fill(0, (first & WITHIN) << 10, ((first & WITHIN) + pages) << 10)
      return first
    }
    throw new Errno('ENOMEM')
  }

  /** @returns the lowest free page of a chunk, or -1 */
  #freePage(chunk: number): number {
    const bits = this.#bits(chunk)
    for (let word = 0; word < bits.length; word += 1) {
      const free = ~(bits[word] ?? 0)
      if (free !== 0) return chunk * CHUNK + word * 32 + (31 - Math.clz32(free & -free))
    }
    return -1
  }

  #freeRun(chunk: number, pages: number, alignment: number): number {
    const first = chunk * CHUNK
    for (let start = first; start + pages <= first + CHUNK; start += alignment) {
      let run = 0
      while (run < pages && !this.#isTaken(start + run)) run += 1
      if (run === pages) return start
    }
    return -1
  }

  #allocateChunks(pages: number, alignment: number): number {
    const count = Math.ceil(pages / CHUNK)
    const chunks = Math.ceil(this.#end / CHUNK)
    const isEmpty = (chunk: number): boolean => this.#bits(chunk).every((bits) => bits === 0)
    for (let start = 0; start + count <= chunks; start += alignment) {
      let run = 0
      while (run < count && isEmpty(start + run)) run += 1
      if (run < count) continue
      const buffer = new ArrayBuffer(count * CHUNK * 4096)
      for (let n = 0; n < count; n += 1) {
        this.#backing[start + n] = new Uint32Array(buffer, n * CHUNK * 4096, CHUNK * 1024)
      }
      const first = start * CHUNK
      for (let page = first; page < first + pages; page += 1) this.#mark(page, true)
      return first
    }
    throw new Errno('ENOMEM')
  }

  /** Lets go of an empty chunk that is part of a larger buffer, so that the buffer can go as a whole. */
  #dropShared(chunk: number): void {
    const words = this.#backing[chunk]
    if (words === undefined || words.buffer.byteLength === words.byteLength) return
    if (this.#bits(chunk).every((bits) => bits === 0)) this.#backing[chunk] = undefined
  }
}
