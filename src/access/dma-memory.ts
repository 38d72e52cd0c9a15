/**
 * Memory for devices: pages of this process, and where devices find them.
 *
 *     allocate --> map at an IOVA --> devices read and write --> unmap --> release
 *
 * As long as it is mapped the memory stays, whoever forgets it: the kernel has the pages pinned, and a device may be
 * writing to them.
 */
import type { Memory } from '../kernel/kernel.ts'

export class DmaMemory {
  /** The bytes, as this program sees them. Length is a whole number of pages. */
  readonly bytes: Uint8Array
  readonly #memory: Memory
  #mappings = 0
  #isReleased = false

  constructor(memory: Memory) {
    this.#memory = memory
    this.bytes = memory.bytes
  }

  get size(): number {
    return this.#memory.bytes.length
  }

  /** Virtual address in this process. */
  get address(): number {
    return this.#memory.address
  }

  /** Told by the context. */
  noteMapped(change: 1 | -1): void {
    this.#mappings += change
  }

  /** Gives the pages back to the system. @throws Error while it is mapped; twice is once */
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
