/**
 * Memory of one user process: anonymous mappings over the machine's memory (mm/mmap.c), and pages
 * that devices may reach (mm/gup.c).
 *
 *     virtual pages -- region --> physical pages, allocated together
 *
 * A pinned page outlives its mapping: when a process unmaps memory, or dies, that a device may still
 * write to, the pages are not free before the last pin goes. Handing them to somebody else earlier would
 * let the device write into his memory.
 *
 * Addresses are page numbers (address / 4096), below 2^35.
 */
import { Errno } from './errno.ts'
import type { PhysicalMemory } from './memory/physical-memory.ts'
import type { AddressSpace, MappedWindow, PinnedRun } from './process.ts'

/** Mappings start at 0x7f0000000000 and grow upwards. */
const FIRST_PAGE = 0x7f0000000
const END_PAGE = 2 ** 35
const PAGE = 4096
/** Pages of 2 MiB. */
const HUGE_PAGES = 512

/** What mmap returned. */
export interface UserMapping {
  /** Below 2^47. */
  readonly address: number
  readonly bytes: Uint8Array
  /** munmap. Twice = once. */
  release(): void
}

class Region {
  readonly firstPage: number
  readonly pages: number
  /** First physical page; -1 for registers of a device, which cannot be pinned. */
  readonly physical: number
  readonly #memory: PhysicalMemory
  #pins = 0
  #mapped = true

  constructor(firstPage: number, pages: number, physical: number, memory: PhysicalMemory) {
    this.firstPage = firstPage
    this.pages = pages
    this.physical = physical
    this.#memory = memory
  }

  pin(): void {
    this.#pins += 1
  }

  unpin(): void {
    this.#pins -= 1
    this.#freeIfUnused()
  }

  unmap(): void {
    if (!this.#mapped) return
    this.#mapped = false
    this.#freeIfUnused()
  }

  #freeIfUnused(): void {
    if (this.#mapped || this.#pins > 0 || this.physical < 0) return
    this.#memory.free(this.physical, this.pages)
  }
}

class Pin implements PinnedRun {
  readonly firstPage: number
  readonly pages: number
  readonly #region: Region

  constructor(region: Region, firstPage: number, pages: number) {
    this.#region = region
    this.firstPage = firstPage
    this.pages = pages
    region.pin()
  }

  unpin(): void {
    this.#region.unpin()
  }
}

export class UserMemory implements AddressSpace {
  memlockLimit: number
  lockedPages = 0
  readonly #memory: PhysicalMemory
  /** By address, ascending. */
  readonly #regions: Region[] = []
  #next = FIRST_PAGE
  /** The region looked up last: neighbours are looked up next. */
  #recent: Region | undefined

  /** @param memlockLimit RLIMIT_MEMLOCK in bytes */
  constructor(memory: PhysicalMemory, memlockLimit: number) {
    this.#memory = memory
    this.memlockLimit = memlockLimit
  }

  /** Zeroed anonymous memory. @param length bytes, rounded up to pages @throws Errno EINVAL, ENOMEM */
  allocate(length: number, kind: 'small' | 'huge' = 'small'): UserMapping {
    if (length <= 0) throw new Errno('EINVAL')
    const unit = kind === 'huge' ? HUGE_PAGES : 1
    const pages = Math.ceil(length / PAGE / unit) * unit
    this.#next = Math.ceil(this.#next / unit) * unit
    const physical = this.#memory.allocate(pages)
    return this.#add(pages, physical, this.#memory.bytes(physical, pages))
  }

  /** Registers of a device, as its file maps them. */
  mapWindow({ bytes }: MappedWindow): UserMapping {
    return this.#add(Math.ceil(bytes.length / PAGE), -1, bytes)
  }

  physicalPage(virtualPage: number): number | undefined {
    const region = this.#find(virtualPage)
    if (region === undefined || region.physical < 0) return undefined
    return region.physical + virtualPage - region.firstPage
  }

  pin(virtualPage: number, pages: number): PinnedRun | undefined {
    const region = this.#find(virtualPage)
    if (region === undefined || region.physical < 0) return undefined
    const offset = virtualPage - region.firstPage
    return new Pin(region, region.physical + offset, Math.min(pages, region.pages - offset))
  }

  /** copy_from_user() @returns null when some of it is not mapped */
  copyFrom(address: number, length: number): Uint8Array | null {
    const bytes = new Uint8Array(length)
    const complete = this.#eachPage(address, length, (part, done) => {
      bytes.set(part, done)
    })
    return complete ? bytes : null
  }

  /** copy_to_user() @returns whether all of it was mapped; what was mapped is written anyway */
  copyTo(address: number, bytes: Uint8Array): boolean {
    return this.#eachPage(address, bytes.length, (part, done) => {
      part.set(bytes.subarray(done, done + part.length))
    })
  }

  /** exit_mmap() */
  releaseAll(): void {
    for (const region of this.#regions.splice(0)) region.unmap()
    this.#recent = undefined
  }

  #add(pages: number, physical: number, bytes: Uint8Array): UserMapping {
    if (this.#next + pages > END_PAGE) throw new Errno('ENOMEM')
    const region = new Region(this.#next, pages, physical, this.#memory)
    this.#next += pages
    this.#regions.push(region)
    return {
      address: region.firstPage * PAGE,
      bytes,
      release: () => {
        this.#remove(region)
      },
    }
  }

  #remove(region: Region): void {
    const index = this.#regions.indexOf(region)
    if (index < 0) return
    this.#regions.splice(index, 1)
    this.#recent = undefined
    region.unmap()
  }

  #find(page: number): Region | undefined {
    const recent = this.#recent
    if (recent !== undefined && contains(recent, page)) return recent
    let low = 0
    let high = this.#regions.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const region = this.#regions[middle]
      if (region === undefined) break
      if (contains(region, page)) {
        this.#recent = region
        return region
      }
      if (page < region.firstPage) high = middle - 1
      else low = middle + 1
    }
    return undefined
  }

  #eachPage(
    address: number,
    length: number,
    visit: (part: Uint8Array, done: number) => void,
  ): boolean {
    for (let done = 0; done < length; ) {
      const at = address + done
      const physical = this.physicalPage(Math.floor(at / PAGE))
      if (physical === undefined) return false
      const offset = at % PAGE
      const size = Math.min(length - done, PAGE - offset)
      visit(this.#memory.bytes(physical, 1).subarray(offset, offset + size), done)
      done += size
    }
    return true
  }
}

function contains(region: Region, page: number): boolean {
  return page >= region.firstPage && page < region.firstPage + region.pages
}
