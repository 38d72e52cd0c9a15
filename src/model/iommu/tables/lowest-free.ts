/** Numbers handed out lowest first, as the kernel's bitmaps do: domain ids, table indexes. */
export class LowestFree {
  /** Numbers in use now. */
  used = 0
  readonly #taken: Uint8Array
  /** Nothing below is free. */
  #hint = 0

  /** Numbers 0 to limit - 1. */
  constructor(limit: number) {
    this.#taken = new Uint8Array(limit)
  }

  /**
   * Takes a block of numbers that starts at a multiple of its size.
   * @param count a power of two
   * @returns the first one, or -1 when there is no such block
   */
  take(count = 1): number {
    const taken = this.#taken
    while (taken[this.#hint] === 1) this.#hint += 1
    const start = Math.ceil(this.#hint / count) * count
    for (let first = start; first + count <= taken.length; first += count) {
      if (taken.subarray(first, first + count).includes(1)) continue
      taken.fill(1, first, first + count)
      this.used += count
      return first
    }
    return -1
  }

  give(first: number, count = 1): void {
    this.#taken.fill(0, first, first + count)
    this.used -= count
    this.#hint = Math.min(this.#hint, first)
  }
}
