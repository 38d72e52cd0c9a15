/**
 * What the devices of a context reach: mappings of this process's memory at addresses for devices (IOVA).
 *
 *     parts of memory --> neighbours joined --> one place of IOVA --> one entry of the kernel for each piece
 *
 * The kernel counts entries (dma_entry_limit) and the bytes that are locked (RLIMIT_MEMLOCK); pieces that lie
 * side by side in this process too are one entry.
 */
import { IsogroupError } from '../base/errors.ts'
import { type IovaRange, IovaSpace } from '../isolation/context/iova-space.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import type { DmaDirection, Type1Container } from '../linux/vfio/type1-container.ts'
import { DmaMemory, type MemoryPart } from './dma-memory.ts'
import { mappingRefused } from './mapping-refused.ts'

export interface MapOptions {
  /** Where devices find it, in bytes; a multiple of the page size. Absent: anywhere above the first page. */
  readonly iova?: number
  /** What devices may do with it. Absent: read and write. */
  readonly direction?: DmaDirection
  /** Its addresses are below this one: for devices with few address bits. Absent: as the context's. */
  readonly below?: number
}

/** What can be mapped: memory, a part of it, or several that devices find one after the other. */
export type Mappable = DmaMemory | MemoryPart | readonly (DmaMemory | MemoryPart)[]

/** Memory at an address of the devices. */
export interface Mapping {
  /** Address for devices, in bytes. */
  readonly iova: number
  /** Bytes. */
  readonly size: number
  readonly direction: DmaDirection
  readonly parts: readonly MemoryPart[]
}

/** From here on what is mapped is worth large pages of the IOMMU. */
const LARGE = 2 * 2 ** 20
const SMALLEST = 4096

export class AddressSpace {
  readonly #kernel: Kernel
  readonly #container: Type1Container
  readonly #below: number
  /** By IOVA. */
  readonly #mappings = new Map<number, Mapping>()
  #ranges: readonly IovaRange[] = []
  #space = new IovaSpace([])
  #pageSize = SMALLEST
  #bytes = 0

  /** @param below where addresses end unless a mapping says otherwise */
  constructor(kernel: Kernel, container: Type1Container, below: number) {
    this.#kernel = kernel
    this.#container = container
    this.#below = below
  }

  /** The smallest piece that can be mapped, in bytes. */
  get pageSize(): number {
    return this.#pageSize
  }

  /** What all IOMMUs of the context translate, without reserved regions. */
  get ranges(): readonly IovaRange[] {
    return this.#ranges
  }

  /** Everything that is mapped, by address. */
  get mappings(): readonly Mapping[] {
    return [...this.#mappings.values()].sort((a, b) => a.iova - b.iova)
  }

  /** How much is mapped, in bytes. */
  get size(): number {
    return this.#bytes
  }

  /** What is free, after groups came or went: every IOMMU has to translate it. */
  look(): void {
    const { ranges, pageSizes } = this.#container.info()
    this.#pageSize = pageSizes[0] ?? SMALLEST
    this.#ranges = ranges
    this.#space = new IovaSpace(ranges)
    for (const { iova, size } of this.#mappings.values()) this.#space.reserve(iova, size)
  }

  /** @throws as Context.map */
  map(what: Mappable, { iova, direction = 'both', below }: MapOptions): Mapping {
    const parts = partsOf(what, this.#pageSize)
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    const at =
      iova === undefined ? this.#place(size, below ?? this.#below) : this.#placeAt(iova, size)
    this.#enter(parts, at, size, direction)
    const mapping: Mapping = { iova: at, size, direction, parts }
    this.#mappings.set(at, mapping)
    this.#bytes += size
    for (const { memory } of parts) memory.noteMapped(1)
    return mapping
  }

  unmap(mapping: Mapping): void {
    const { iova, size, parts } = mapping
    if (this.#mappings.get(iova) !== mapping) return
    this.#leave(iova, size)
    this.#mappings.delete(iova)
    this.#space.release(iova, size)
    this.#bytes -= size
    for (const { memory } of parts) memory.noteMapped(-1)
  }

  /** All entries of one mapping, or none. */
  #enter(parts: readonly MemoryPart[], iova: number, size: number, direction: DmaDirection): void {
    let done = 0
    try {
      for (const [address, length] of joined(parts)) {
        this.#container.map(address, iova + done, length, direction)
        done += length
      }
    } catch (cause) {
      if (done > 0) this.#leave(iova, done)
      this.#space.release(iova, size)
      if (!(cause instanceof KernelError)) throw cause
      throw mappingRefused(cause, size, this.#kernel, this.#container)
    }
  }

  /** When its last group has gone with its devices, the kernel has undone everything, and knows nothing of it. */
  #leave(iova: number, size: number): void {
    try {
      this.#container.unmap(iova, size)
    } catch (cause) {
      if (!(cause instanceof KernelError) || cause.code !== 'EINVAL') throw cause
    }
  }

  #place(size: number, below: number): number {
    const page = this.#pageSize
    // Address 0 means "nothing" to many devices.
    const large = size >= LARGE ? this.#space.allocate(size, LARGE, page, below) : null
    const place = large ?? this.#space.allocate(size, page, page, below)
    if (place !== null) return place
    const where = below === Infinity ? '' : ` below 0x${below.toString(16)}`
    throw new IsogroupError(
      'refused',
      `there are no ${String(size)} bytes of IOVA in one piece in this context${where}`,
      'unmap what is not needed, or map smaller pieces',
    )
  }

  #placeAt(iova: number, size: number): number {
    if (!Number.isSafeInteger(iova) || iova < 0 || iova % this.#pageSize !== 0) {
      throw new RangeError(
        `IOVA 0x${iova.toString(16)} is no multiple of ${String(this.#pageSize)}`,
      )
    }
    if (this.#space.reserve(iova, size)) return iova
    throw new IsogroupError(
      'refused',
      `IOVA 0x${iova.toString(16)} to 0x${(iova + size - 1).toString(16)} is not free: mapped, reserved, or beyond what the IOMMU translates`,
      'leave the address to the context, or choose one within its ranges',
    )
  }
}

/** @throws RangeError: no whole pages */
function partsOf(what: Mappable, pageSize: number): readonly MemoryPart[] {
  const list = Array.isArray(what) ? (what as readonly (DmaMemory | MemoryPart)[]) : null
  const parts = (list ?? [what as DmaMemory | MemoryPart]).map((one) =>
    one instanceof DmaMemory ? one.whole : one,
  )
  if (parts.length === 0) throw new RangeError('there is nothing to map')
  for (const { memory, offset, size } of parts) {
    if (memory.isReleased) {
      throw new IsogroupError('usage', `memory of ${String(memory.size)} bytes has been released`)
    }
    if (offset % pageSize === 0 && size % pageSize === 0) continue
    throw new RangeError(
      `${String(size)} bytes from ${String(offset)} are no multiple of ${String(pageSize)}`,
    )
  }
  return parts
}

/** Address in this process and length of each piece; what lies side by side is one. */
function joined(parts: readonly MemoryPart[]): readonly (readonly [number, number])[] {
  const pieces: [number, number][] = []
  for (const { memory, offset, size } of parts) {
    const address = memory.address + offset
    const last = pieces.at(-1)
    if (last !== undefined && last[0] + last[1] === address) last[1] += size
    else pieces.push([address, size])
  }
  return pieces
}
