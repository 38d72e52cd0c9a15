/**
 * Registers of a device: a region, read and written in the widths that devices know.
 *
 * Where the kernel lets a part be mapped, an access is one load or store of this process; elsewhere it is a call
 * (pread, pwrite). Offsets are multiples of the width, as devices want them; everything is little-endian.
 *
 * Order: accesses of one region reach the device in the order in which they are made. A store may still be on its
 * way when the call comes back; a load from the same device comes back only after all stores before it have arrived
 * (PCI Express Base Specification, 2.4.1).
 *
 * A window stays mapped when its device goes away; touching it then could end the process. So windows are closed before
 * their device is let go, and every access of a closed region is DeviceRemovedError.
 */
import { KernelError, type Memory } from '../kernel/kernel.ts'
import type { RegionInfo, VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { DeviceRemovedError } from './device-removed-error.ts'

/**
 * A part that is mapped. Typed arrays, because one element is one access of its width; a DataView may take a number
 * byte by byte, which is another thing to a device.
 */
interface Window {
  readonly start: number
  readonly end: number
  readonly memory: Memory
  readonly bytes: Uint8Array
  readonly halves: Uint16Array
  readonly words: Uint32Array
}

/** What the kernel answers for a device that is not there. */
const GONE: ReadonlySet<string> = new Set(['EIO', 'ENODEV', 'ENXIO', 'EBADF'])
const HALF = 32n
const LOW = 0xffff_ffffn

export class Region {
  /** Bytes. */
  readonly size: number
  readonly #device: VfioDeviceFile
  readonly #info: RegionInfo
  readonly #scratch = new DataView(new ArrayBuffer(4))
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer)
  #windows: readonly Window[]
  #isClosed = false

  constructor(device: VfioDeviceFile, info: RegionInfo) {
    this.#device = device
    this.#info = info
    this.size = info.size
    this.#windows = info.mappable.flatMap((area) => openWindow(device, info, area))
  }

  /** Parts that are loads and stores of this process, in bytes. */
  get mapped(): readonly { readonly offset: number; readonly size: number }[] {
    return this.#windows.map(({ start, end }) => ({ offset: start, size: end - start }))
  }

  /** @throws DeviceRemovedError, RangeError (outside, or not a multiple of the width), KernelError */
  read8(offset: number): number {
    const window = this.#windowAt(offset, 1)
    if (window !== undefined) return window.bytes[offset - window.start] ?? 0
    return this.#read(offset, 1).getUint8(0)
  }

  read16(offset: number): number {
    const window = this.#windowAt(offset, 2)
    if (window !== undefined) return window.halves[(offset - window.start) / 2] ?? 0
    return this.#read(offset, 2).getUint16(0, true)
  }

  read32(offset: number): number {
    const window = this.#windowAt(offset, 4)
    if (window !== undefined) return window.words[(offset - window.start) / 4] ?? 0
    return this.#read(offset, 4).getUint32(0, true)
  }

  /** Two accesses of 32 bits, the lower half first. */
  read64(offset: number): bigint {
    const low = BigInt(this.read32(offset))
    return low | (BigInt(this.read32(offset + 4)) << HALF)
  }

  write8(offset: number, value: number): void {
    const window = this.#windowAt(offset, 1)
    if (window !== undefined) {
      window.bytes[offset - window.start] = value
      return
    }
    this.#scratch.setUint8(0, value)
    this.#write(offset, 1)
  }

  write16(offset: number, value: number): void {
    const window = this.#windowAt(offset, 2)
    if (window !== undefined) {
      window.halves[(offset - window.start) / 2] = value
      return
    }
    this.#scratch.setUint16(0, value, true)
    this.#write(offset, 2)
  }

  write32(offset: number, value: number): void {
    const window = this.#windowAt(offset, 4)
    if (window !== undefined) {
      window.words[(offset - window.start) / 4] = value
      return
    }
    this.#scratch.setUint32(0, value, true)
    this.#write(offset, 4)
  }

  /** Two accesses of 32 bits, the lower half first. */
  write64(offset: number, value: bigint): void {
    this.write32(offset, Number(value & LOW))
    this.write32(offset + 4, Number((value >> HALF) & LOW))
  }

  /** Closes all windows. Twice is once. */
  close(): void {
    this.#isClosed = true
    const windows = this.#windows
    this.#windows = []
    for (const { memory } of windows) memory.release()
  }

  #windowAt(offset: number, width: number): Window | undefined {
    if (this.#isClosed) throw new DeviceRemovedError(this.#device.address)
    if (!Number.isInteger(offset / width) || offset < 0 || offset + width > this.size) {
      throw new RangeError(
        `offset ${String(offset)} with width ${String(width)} is no place in a region of ${String(this.size)} bytes`,
      )
    }
    return this.#windows.find(({ start, end }) => offset >= start && offset + width <= end)
  }

  #read(offset: number, width: number): DataView {
    const bytes = this.#answered(() => this.#device.read(this.#info.offset + offset, width))
    if (bytes.length < width) throw new DeviceRemovedError(this.#device.address)
    return new DataView(bytes.buffer, bytes.byteOffset, width)
  }

  #write(offset: number, width: number): void {
    const bytes = this.#scratchBytes.subarray(0, width)
    this.#answered(() => this.#device.write(this.#info.offset + offset, bytes))
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
  device: VfioDeviceFile,
  info: RegionInfo,
  { offset, size }: RegionInfo['mappable'][number],
): readonly Window[] {
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
      ...{ start: offset, end: offset + size, memory, bytes: memory.bytes },
      halves: new Uint16Array(buffer, byteOffset, byteLength / 2),
      words: new Uint32Array(buffer, byteOffset, byteLength / 4),
    },
  ]
}
