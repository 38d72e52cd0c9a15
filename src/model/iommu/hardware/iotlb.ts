/**
 * A translation cache as IOMMU hardware has it: direct mapped, tagged with the domain id, so that all
 * devices of a domain share its entries and one command invalidates them for all.
 *
 * It knows nothing of the tables: an entry stays, right or wrong, until a command or another entry takes
 * its place. A driver that forgets an invalidation leaves a hole here as it would in hardware.
 */
const ENTRIES = 4096

export class Iotlb {
  /** IOVA page of an entry; -1 = empty. */
  #pages = new Float64Array(0)
  #domains = new Uint16Array(0)
  #targets = new Float64Array(0)
  #access = new Uint8Array(0)

  /** @param need READ or WRITE @returns the physical page, or -1: walk the tables */
  lookup(domain: number, page: number, need: number): number {
    const at = place(domain, page)
    if (this.#pages[at] !== page || this.#domains[at] !== domain) return -1
    return ((this.#access[at] ?? 0) & need) === 0 ? -1 : (this.#targets[at] ?? -1)
  }

  /** @param access all that the walk allows: READ | WRITE */
  fill(domain: number, page: number, target: number, access: number): void {
    if (this.#pages.length === 0) this.#make()
    const at = place(domain, page)
    this.#pages[at] = page
    this.#domains[at] = domain
    this.#targets[at] = target
    this.#access[at] = access
  }

  /** Most units of most machines never translate anything: the arrays come with the first entry. */
  #make(): void {
    this.#pages = new Float64Array(ENTRIES).fill(-1)
    this.#domains = new Uint16Array(ENTRIES)
    this.#targets = new Float64Array(ENTRIES)
    this.#access = new Uint8Array(ENTRIES)
  }

  invalidateAll(): void {
    this.#pages.fill(-1)
  }

  invalidateDomain(domain: number): void {
    for (let at = 0; at < this.#pages.length; at += 1) {
      if (this.#domains[at] === domain) this.#pages[at] = -1
    }
  }

  invalidatePages(domain: number, firstPage: number, pages: number): void {
    if (pages >= ENTRIES) {
      this.invalidateDomain(domain)
      return
    }
    for (let page = firstPage; page < firstPage + pages; page += 1) {
      const at = place(domain, page)
      if (this.#pages[at] === page && this.#domains[at] === domain) this.#pages[at] = -1
    }
  }
}

/** Domains are spread, so that the same IOVA in two of them does not fight for one entry. */
function place(domain: number, page: number): number {
  return (page ^ Math.imul(domain, 0x2f1)) & (ENTRIES - 1)
}
