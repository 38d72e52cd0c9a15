/**
 * Memory for devices: pages of this process, and where devices find them.
 *
 *     allocate --> map at an IOVA --> devices read and write --> unmap --> release
 *
 * As long as it is mapped the memory stays, whoever forgets it: the kernel has the pages pinned, and a device may be
 * writing to them. Forgotten memory that is not mapped goes with the garbage.
 */
import type { Memory } from '../kernel/kernel.ts'

/** A piece of memory, in whole pages; made by DmaMemory.part(). */
export class MemoryPart {
  readonly memory: DmaMemory
  /** Bytes from its start. */
  readonly offset: number
  /** Bytes. */
  readonly size: number
  /** Virtual address in this process. */
  readonly address: number
  /** A list of it alone: what most mappings are of. */
  readonly alone: readonly [MemoryPart] = [this]

  constructor(memory: DmaMemory, offset: number, size: number) {
    this.memory = memory
    this.offset = offset
    this.size = size
    this.address = memory.address + offset
  }
}

export class DmaMemory {
  /** The bytes, as this program sees them. Length is a whole number of pages. */
  readonly bytes: Uint8Array
  /** All of it. */
  readonly whole: MemoryPart
  readonly #memory: Memory
  #mappings = 0
  #isReleased = false

  constructor(memory: Memory) {
    this.#memory = memory
    this.bytes = memory.bytes
    this.whole = new MemoryPart(this, 0, memory.bytes.length)
  }

  /** Bytes. */
  get size(): number {
    return this.whole.size
  }

  /** Virtual address in this process. */
  get address(): number {
    return this.#memory.address
  }

  /** In how many places it is mapped, in parts or whole. */
  get mapped(): number {
    return this.#mappings
  }

  /**
   * @param offset, size in bytes, both multiples of the page size of the context that it is mapped in
   * @throws RangeError: outside of the memory
   */
  part(offset: number, size: number): MemoryPart {
    const isInside =
      Number.isSafeInteger(offset) && Number.isSafeInteger(size) && offset >= 0 && size > 0
    if (!isInside || offset + size > this.size) {
      throw new RangeError(
        `${String(size)} bytes from ${String(offset)} are no part of ${String(this.size)} bytes`,
      )
    }
    return new MemoryPart(this, offset, size)
  }

  /** Told by the context. */
  noteMapped(change: 1 | -1): void {
    this.#mappings += change
  }

  /** Whether it was given back, and cannot be mapped any more. */
  get isReleased(): boolean {
    return this.#isReleased
  }

  /**
   * Gives the pages back to the system; `bytes` is zeros afterwards.
   * @throws Error while it is mapped; twice is once
   */
  release(): void {
    if (this.#isReleased) return
    if (this.#mappings > 0) {
      throw new Error(
        `memory of ${String(this.size)} bytes is mapped still: unmap it, or close the context`,
      )
    }
    this.#isReleased = true
    this.#memory.release()
  }
}
