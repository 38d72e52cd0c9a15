/**
 * The pages that hold the tables of one domain, and how many entries of each are in use.
 *
 * The counts are the driver's own notes, kept beside the tables, not in them: a table whose last entry
 * goes can be freed at once. (Linux keeps no counts: it frees a table when one unmap covers all of it, or
 * with the domain. What the hardware sees is the same.)
 */
import type { PhysicalMemory } from '../../memory/physical-memory.ts'

/** Empty tables kept for the next mapping: a page that comes and goes would need the same ones again. */
const SPARES = 4

/** Entries in use by page number, in pieces of 512 pages. */
type Uses = (Uint16Array | undefined)[]

/** A page holds a table of one domain: ten thousand small domains share the notes of their machine. */
const USES = new WeakMap<PhysicalMemory, Uses>()

export class TablePages {
  readonly memory: PhysicalMemory
  /** Pages in use; spare ones do not count. */
  count = 0
  readonly #spares: number[] = []
  readonly #uses: Uses

  constructor(memory: PhysicalMemory) {
    this.memory = memory
    this.#uses = USES.get(memory) ?? []
    USES.set(memory, this.#uses)
  }

  /** A zeroed page. @throws Errno ENOMEM */
  allocate(): number {
    const page = this.#spares.pop() ?? this.memory.allocate(1)
    this.count += 1
    this.#uses[page >>> 9] ??= new Uint16Array(512)
    return page
  }

  /** A table whose entries are all cleared. */
  retire(page: number): void {
    if (this.#spares.length === SPARES) {
      this.free(page)
      return
    }
    this.#spares.push(page)
    this.count -= 1
  }

  /** Gives the spare pages back too. */
  close(): void {
    for (const page of this.#spares.splice(0)) this.memory.free(page, 1)
  }

  /** The page may still hold entries: what they point to is the caller's business. */
  free(page: number): void {
    this.count -= 1
    const uses = this.#uses[page >>> 9]
    if (uses !== undefined) uses[page & 511] = 0
    this.memory.free(page, 1)
  }

  /** Notes that entries were filled, or (negative) cleared. @returns how many are in use now */
  use(page: number, entries: number): number {
    const uses = this.#uses[page >>> 9]
    if (uses === undefined) throw new Error(`page ${page.toString(16)} holds no table`)
    const now = (uses[page & 511] ?? 0) + entries
    uses[page & 511] = now
    return now
  }
}
