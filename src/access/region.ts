/**
 * Registers of a device: a region, read and written in the widths that devices know.
 *
 * Where the kernel lets a part be mapped, an access is one load or store of this process; elsewhere it is a call
 * (pread, pwrite). Offsets are multiples of the width, as devices want them; everything is little-endian.
 *
 * Order: accesses of one region reach the device in the order in which they are made. A store may still be on its
 * way when the call comes back; a load from the same device comes back only after all stores before it have arrived
 * (PCI Express Base Specification, 2.4.1). What was written to DMA memory before is seen by the device.
 *
 * A window stays mapped when its device goes away; touching it then could end the process. So windows are closed before
 * their device is let go, and every access of a closed region is DeviceRemovedError.
 */
import { KernelError, type Memory } from '../kernel/kernel.ts'
import type { RegionInfo, VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { DeviceRemovedError } from './device-removed-error.ts'
import type { MemoryGate } from './memory-gate.ts'

/**
 * A part that is mapped. Typed arrays, because one element is one access of its width; a DataView may take a number
 * byte by byte, which is another thing to a device.
 */
interface Window {
  readonly start: number
  /** Bytes. */
  readonly size: number
  readonly memory: Memory
  readonly bytes: Uint8Array
  readonly halves: Uint16Array
  readonly words: Uint32Array
}

/** What it needs of the device's file. */
export type RegionFile = Pick<VfioDeviceFile, 'address' | 'map' | 'read' | 'write'>

export type Gate = Pick<MemoryGate, 'isOpen' | 'whenShut' | 'refusal'>

export interface RegionOptions {
  /** Says whether windows may be touched; absent: always. */
  readonly gate?: Gate
  /** Called after every write. */
  readonly written?: () => void
}

/** What the kernel answers for a device that is not there. */
const GONE: ReadonlySet<string> = new Set(['EIO', 'ENODEV', 'ENXIO', 'EBADF'])
const HALF = 32n
const LOW = 0xffff_ffffn
/** Larger parts are not mapped: they are read and written by calls. */
const WINDOW_MAX = 2 ** 31
/** Where nothing is mapped, or may be touched. */
const NO_WINDOW: Omit<Window, 'size' | 'memory'> = {
  ...{ start: 0, bytes: new Uint8Array(), halves: new Uint16Array(), words: new Uint32Array() },
}

export class Region {
  /** Bytes. */
  readonly size: number
  readonly #device: RegionFile
  readonly #info: RegionInfo
  readonly #gate: Gate | null
  readonly #written: () => void
  readonly #scratch = new DataView(new ArrayBuffer(4))
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer)
  #windows: readonly Window[]
  #isClosed = false
  // The window that was used last, laid open: an access is one comparison and one load. Empty while the gate is shut.
  #start = 0
  #bytes = NO_WINDOW.bytes
  #halves = NO_WINDOW.halves
  #words = NO_WINDOW.words

  constructor(device: RegionFile, info: RegionInfo, options: RegionOptions = {}) {
    this.#device = device
    this.#info = info
    this.#gate = options.gate ?? null
    this.#written = options.written ?? (() => undefined)
    this.size = info.size
    this.#windows = info.mappable.flatMap((area) => openWindow(device, info, area))
    this.#gate?.whenShut(() => {
      this.#lay(NO_WINDOW)
    })
  }

  /** Parts that are loads and stores of this process, in bytes. */
  get mapped(): readonly { readonly offset: number; readonly size: number }[] {
    return this.#windows.map(({ start, size }) => ({ offset: start, size }))
  }

  /** @throws DeviceRemovedError, RangeError (outside, or not a multiple of the width), KernelError */
  read8(offset: number): number {
    const index = offset - this.#start
    if (index >>> 0 === index && index < this.#bytes.length) return this.#bytes[index] ?? 0
    return this.#isMapped(offset, 1) ? this.read8(offset) : this.#read(offset, 1).getUint8(0)
  }

  /** @throws as read8 */
  read16(offset: number): number {
    const at = offset - this.#start
    const index = at >>> 1
    if (index * 2 === at && index < this.#halves.length) return this.#halves[index] ?? 0
    return this.#isMapped(offset, 2)
      ? this.read16(offset)
      : this.#read(offset, 2).getUint16(0, true)
  }

  /** @throws as read8 */
  read32(offset: number): number {
    const at = offset - this.#start
    const index = at >>> 2
    if (index * 4 === at && index < this.#words.length) return this.#words[index] ?? 0
    return this.#isMapped(offset, 4)
      ? this.read32(offset)
      : this.#read(offset, 4).getUint32(0, true)
  }

  /** Two accesses of 32 bits, the lower half first. @throws as read8 */
  read64(offset: number): bigint {
    const low = BigInt(this.read32(offset))
    return low | (BigInt(this.read32(offset + 4)) << HALF)
  }

  /** @throws as read8 */
  write8(offset: number, value: number): void {
    const index = offset - this.#start
    if (index >>> 0 === index && index < this.#bytes.length) this.#bytes[index] = value
    else if (this.#isMapped(offset, 1)) this.write8(offset, value)
    else {
      this.#scratch.setUint8(0, value)
      this.#write(offset, 1)
    }
  }

  /** @throws as read8 */
  write16(offset: number, value: number): void {
    const at = offset - this.#start
    const index = at >>> 1
    if (index * 2 === at && index < this.#halves.length) this.#halves[index] = value
    else if (this.#isMapped(offset, 2)) this.write16(offset, value)
    else {
      this.#scratch.setUint16(0, value, true)
      this.#write(offset, 2)
    }
  }

  /** @throws as read8 */
  write32(offset: number, value: number): void {
    const at = offset - this.#start
    const index = at >>> 2
    if (index * 4 === at && index < this.#words.length) this.#words[index] = value
    else if (this.#isMapped(offset, 4)) this.write32(offset, value)
    else {
      this.#scratch.setUint32(0, value, true)
      this.#write(offset, 4)
    }
  }

  /** Two accesses of 32 bits, the lower half first. @throws as read8 */
  write64(offset: number, value: bigint): void {
    this.write32(offset, Number(value & LOW))
    this.write32(offset + 4, Number((value >> HALF) & LOW))
  }

  /** Closes all windows. Twice is once. */
  close(): void {
    this.#isClosed = true
    const windows = this.#windows
    this.#windows = []
    this.#lay(NO_WINDOW)
    for (const { memory } of windows) memory.release()
  }

  /** Lays the window open that has the place. @returns false: there is none, and a call has to do */
  #isMapped(offset: number, width: number): boolean {
    if (this.#isClosed) throw new DeviceRemovedError(this.#device.address)
    if (!Number.isInteger(offset / width) || offset < 0 || offset + width > this.size) {
      throw new RangeError(
        `offset ${String(offset)} with width ${String(width)} is no place in a region of ${String(this.size)} bytes`,
      )
    }
    if (this.#gate !== null && !this.#gate.isOpen) throw this.#gate.refusal()
    const found = this.#windows.find(
      ({ start, size }) => offset >= start && offset + width <= start + size,
    )
    if (found === undefined) return false
    this.#lay(found)
    return true
  }

  #lay({ start, bytes, halves, words }: typeof NO_WINDOW): void {
    this.#start = start
    this.#bytes = bytes
    this.#halves = halves
    this.#words = words
  }

  #read(offset: number, width: number): DataView {
    const bytes = this.#answered(() => this.#device.read(this.#info.offset + offset, width))
    if (bytes.length < width) throw new DeviceRemovedError(this.#device.address)
    return new DataView(bytes.buffer, bytes.byteOffset, width)
  }

  #write(offset: number, width: number): void {
    const bytes = this.#scratchBytes.subarray(0, width)
    this.#answered(() => this.#device.write(this.#info.offset + offset, bytes))
    this.#written()
  }

  #answered<T>(call: () => T): T {
    try {
      return call()
    } catch (cause) {
      if (!(cause instanceof KernelError) || !GONE.has(cause.code)) throw cause
      throw new DeviceRemovedError(this.#device.address, { cause })
    }
  }
}

/** A part that cannot be mapped after all is read and written by calls. */
function openWindow(
  device: RegionFile,
  info: RegionInfo,
  { offset, size }: RegionInfo['mappable'][number],
): readonly Window[] {
  if (size > WINDOW_MAX) return []
  let memory: Memory
  try {
    memory = device.map(info.offset + offset, size)
  } catch (cause) {
    if (cause instanceof KernelError) return []
    throw cause
  }
  const { buffer, byteOffset, byteLength } = memory.bytes
  return [
    {
      ...{ start: offset, size, memory, bytes: memory.bytes },
      halves: new Uint16Array(buffer, byteOffset, byteLength / 2),
      words: new Uint32Array(buffer, byteOffset, byteLength / 4),
    },
  ]
}
