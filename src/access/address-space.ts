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
import { DmaMemory, MemoryPart } from './dma-memory.ts'
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

/** As the context knows it. */
interface Entry extends Mapping {
  /** Its place in the context's list. */
  slot: number
}

/** Memory of this process: what the kernel maps as one entry. */
type Piece = Pick<MemoryPart, 'address' | 'size'>

/** From here on what is mapped is worth large pages of the IOMMU. */
const LARGE = 2 * 2 ** 20
const SMALLEST = 4096

export class AddressSpace {
  readonly #kernel: Kernel
  readonly #container: Type1Container
  readonly #below: number
  /** In no order: the last one takes the place of one that leaves. */
  readonly #entries: Entry[] = []
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
    return [...this.#entries].sort((a, b) => a.iova - b.iova)
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
    for (const { iova, size } of this.#entries) this.#space.reserve(iova, size)
  }

  /** @throws as Context.map */
  map(what: Mappable, options: MapOptions): Mapping {
    const { iova, direction = 'both', below = this.#below } = options
    const parts = partsOf(what)
    const only = parts.length === 1 ? parts[0] : undefined
    const size =
      only === undefined ? sizeOfAll(parts, this.#pageSize) : sizeOf(only, this.#pageSize)
    const at = iova === undefined ? this.#place(size, below) : this.#placeAt(iova, size)
    try {
      // Mostly: nothing to join, and nothing to undo.
      if (only !== undefined) this.#container.map(only.address, at, size, direction)
      else this.#enterPieces(joined(parts), at, direction)
    } catch (cause) {
      throw this.#notEntered(cause, at, size)
    }
    const entry: Entry = { iova: at, size, direction, parts, slot: this.#entries.length }
    this.#entries.push(entry)
    this.#bytes += size
    for (const { memory } of parts) memory.noteMapped(1)
    return entry
  }

  unmap(mapping: Mapping): void {
    // A mapping of another context, or one that is undone, is not where it says.
    const { iova, size, parts, slot } = mapping as Entry
    if (this.#entries[slot] !== mapping) return
    this.#leave(iova, size)
    const last = this.#entries.pop()
    if (last !== undefined && last !== mapping) {
      this.#entries[slot] = last
      last.slot = slot
    }
    this.#space.release(iova, size)
    this.#bytes -= size
    for (const { memory } of parts) memory.noteMapped(-1)
  }

  /** Gives the place back. @returns what to throw */
  #notEntered(cause: unknown, iova: number, size: number): unknown {
    this.#space.release(iova, size)
    return cause instanceof KernelError
      ? mappingRefused(cause, size, this.#kernel, this.#container)
      : cause
  }

  #enterPieces(pieces: readonly Piece[], iova: number, direction: DmaDirection): void {
    let done = 0
    try {
      for (const { address, size } of pieces) {
        this.#container.map(address, iova + done, size, direction)
        done += size
      }
    } catch (cause) {
      if (done > 0) this.#leave(iova, done)
      throw cause
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
    throw noRoom(size, below)
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

function noRoom(size: number, below: number): IsogroupError {
  const where = below === Infinity ? '' : ` below 0x${below.toString(16)}`
  return new IsogroupError(
    'refused',
    `there are no ${String(size)} bytes of IOVA in one piece in this context${where}`,
    'unmap what is not needed, or map smaller pieces',
  )
}

/** Short, so that it becomes a part of its caller. @returns bytes @throws as notMappable */
function sizeOf(part: MemoryPart, pageSize: number): number {
  // A page is a power of two: its low bits are a mask, which is right for numbers of more than 32 bits too.
  if (((part.offset | part.size) & (pageSize - 1)) !== 0 || part.memory.isReleased) {
    throw notMappable(part, pageSize)
  }
  return part.size
}

function sizeOfAll(parts: readonly MemoryPart[], pageSize: number): number {
  let sum = 0
  for (const part of parts) sum += sizeOf(part, pageSize)
  if (sum === 0) throw new RangeError('there is nothing to map')
  return sum
}

/** @returns RangeError: no whole pages; IsogroupError usage: released */
function notMappable({ memory, offset, size }: MemoryPart, pageSize: number): Error {
  return memory.isReleased
    ? new IsogroupError('usage', `memory of ${String(memory.size)} bytes has been released`)
    : new RangeError(
        `${String(size)} bytes from ${String(offset)} are no multiple of ${String(pageSize)}`,
      )
}

function partsOf(what: Mappable): readonly MemoryPart[] {
  if (what instanceof MemoryPart) return what.alone
  if (what instanceof DmaMemory) return what.whole.alone
  return what.map((one) => (one instanceof DmaMemory ? one.whole : one))
}

/** What lies side by side in this process is one piece. */
function joined(parts: readonly MemoryPart[]): readonly Piece[] {
  const pieces: { address: number; size: number }[] = []
  for (const { address, size } of parts) {
    const before = pieces.at(-1)
    if (before !== undefined && before.address + before.size === address) before.size += size
    else pieces.push({ address, size })
  }
  return pieces
}
