/** Numbers handed out lowest first, as the kernel's bitmaps do: domain ids, table indexes. */
const FIRST_NUMBERS = 64

export class LowestFree {
  /** Numbers in use now. */
  used = 0
  readonly #limit: number
  /** Grows with the numbers that are used: limits are large, and most numbers never are. */
  #taken: Uint8Array
  /** Nothing below is free. */
  #hint = 0

  /** Numbers 0 to limit - 1. */
  constructor(limit: number) {
    this.#limit = limit
    this.#taken = new Uint8Array(Math.min(limit, FIRST_NUMBERS))
  }

  /**
   * Takes a block of numbers that starts at a multiple of its size.
   * @param count a power of two
   * @returns the first one, or -1 when there is no such block
   */
  take(count = 1): number {
    while (this.#taken[this.#hint] === 1) this.#hint += 1
    const start = Math.ceil(this.#hint / count) * count
    for (let first = start; first + count <= this.#limit; first += count) {
      while (first + count > this.#taken.length) this.#grow()
      const taken = this.#taken
      if (taken.subarray(first, first + count).includes(1)) continue
      taken.fill(1, first, first + count)
      this.used += count
      return first
    }
    return -1
  }

  #grow(): void {
    const grown = new Uint8Array(Math.min(this.#limit, this.#taken.length * 2))
    grown.set(this.#taken)
    this.#taken = grown
  }

  give(first: number, count = 1): void {
    this.#taken.fill(0, first, first + count)
    this.used -= count
    this.#hint = Math.min(this.#hint, first)
  }
}
