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
import { IsogroupError } from '../base/errors.ts'
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

type Gate = Pick<MemoryGate, 'isOpen' | 'refusal'>

const ALWAYS_OPEN: Gate = {
  isOpen: true,
  refusal: () => new IsogroupError('refused', 'nothing stands in the way'),
}

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
/** Where nothing is mapped. */
const NO_WINDOW: Window = {
  ...{
    start: 0,
    size: 0,
    memory: { address: 0, bytes: new Uint8Array(), release: () => undefined },
  },
  ...{ bytes: new Uint8Array(), halves: new Uint16Array(), words: new Uint32Array() },
}

export class Region {
  /** Bytes. */
  readonly size: number
  readonly #device: VfioDeviceFile
  readonly #info: RegionInfo
  readonly #gate: Gate
  readonly #written: () => void
  readonly #scratch = new DataView(new ArrayBuffer(4))
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer)
  #windows: readonly Window[]
  /** The one that was used last. */
  #current: Window
  #isClosed = false

  constructor(device: VfioDeviceFile, info: RegionInfo, options: RegionOptions = {}) {
    this.#device = device
    this.#info = info
    this.#gate = options.gate ?? ALWAYS_OPEN
    this.#written = options.written ?? (() => undefined)
    this.size = info.size
    this.#windows = info.mappable.flatMap((area) => openWindow(device, info, area))
    this.#current = this.#windows[0] ?? NO_WINDOW
  }

  /** Parts that are loads and stores of this process, in bytes. */
  get mapped(): readonly { readonly offset: number; readonly size: number }[] {
    return this.#windows.map(({ start, size }) => ({ offset: start, size }))
  }

  /** @throws DeviceRemovedError, RangeError (outside, or not a multiple of the width), KernelError */
  read8(offset: number): number {
    const window = this.#windowAt(offset, 1)
    if (window !== null) return window.bytes[offset - window.start] ?? 0
    return this.#read(offset, 1).getUint8(0)
  }

  /** @throws as read8 */
  read16(offset: number): number {
    const window = this.#windowAt(offset, 2)
    if (window !== null) return window.halves[(offset - window.start) >> 1] ?? 0
    return this.#read(offset, 2).getUint16(0, true)
  }

  /** @throws as read8 */
  read32(offset: number): number {
    const window = this.#windowAt(offset, 4)
    if (window !== null) return window.words[(offset - window.start) >> 2] ?? 0
    return this.#read(offset, 4).getUint32(0, true)
  }

  /** Two accesses of 32 bits, the lower half first. @throws as read8 */
  read64(offset: number): bigint {
    const low = BigInt(this.read32(offset))
    return low | (BigInt(this.read32(offset + 4)) << HALF)
  }

  /** @throws as read8 */
  write8(offset: number, value: number): void {
    const window = this.#windowAt(offset, 1)
    if (window !== null) {
      window.bytes[offset - window.start] = value
      return
    }
    this.#scratch.setUint8(0, value)
    this.#write(offset, 1)
  }

  /** @throws as read8 */
  write16(offset: number, value: number): void {
    const window = this.#windowAt(offset, 2)
    if (window !== null) {
      window.halves[(offset - window.start) >> 1] = value
      return
    }
    this.#scratch.setUint16(0, value, true)
    this.#write(offset, 2)
  }

  /** @throws as read8 */
  write32(offset: number, value: number): void {
    const window = this.#windowAt(offset, 4)
    if (window !== null) {
      window.words[(offset - window.start) >> 2] = value
      return
    }
    this.#scratch.setUint32(0, value, true)
    this.#write(offset, 4)
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
    this.#current = NO_WINDOW
    for (const { memory } of windows) memory.release()
  }

  /** Short, so that it becomes a part of its callers: this is what a program does most. */
  #windowAt(offset: number, width: number): Window | null {
    const window = this.#current
    const at = offset - window.start
    if (at >= 0 && at + width <= window.size && (at & (width - 1)) === 0 && this.#gate.isOpen) {
      return window
    }
    return this.#findWindow(offset, width)
  }

  #findWindow(offset: number, width: number): Window | null {
    if (this.#isClosed) throw new DeviceRemovedError(this.#device.address)
    if (!Number.isInteger(offset / width) || offset < 0 || offset + width > this.size) {
      throw new RangeError(
        `offset ${String(offset)} with width ${String(width)} is no place in a region of ${String(this.size)} bytes`,
      )
    }
    if (!this.#gate.isOpen) throw this.#gate.refusal()
    const found = this.#windows.find(
      ({ start, size }) => offset >= start && offset + width <= start + size,
    )
    if (found !== undefined) this.#current = found
    return found ?? null
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
  device: VfioDeviceFile,
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
