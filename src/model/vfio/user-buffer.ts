/**
 * Structures that user space passes to an ioctl: copy_from_user and copy_to_user on the buffer given.
 * What lies beyond its end is not mapped, so reaching there is EFAULT, as for a structure that ends at
 * the last page of a mapping.
 *
 * 64-bit numbers come as two words: addresses above 2^53 are no exact JavaScript numbers, but their page
 * numbers are.
 */
import { Errno } from '../errno.ts'
import type { IoctlArgument, Process } from '../process.ts'

/** Low and high half. */
export type Words = readonly [low: number, high: number]

const PAGES_BELOW_4G = 0x100000

export class UserBuffer {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get length(): number {
    return this.bytes.length
  }

  /** Makes sure that the first bytes can be read and written. @throws Errno EFAULT */
  need(length: number): void {
    if (this.bytes.length < length) throw new Errno('EFAULT', 'the buffer is too short')
  }

  u8(offset: number): number {
    this.need(offset + 1)
    return this.#view.getUint8(offset)
  }

  u32(offset: number): number {
    this.need(offset + 4)
    return this.#view.getUint32(offset, true)
  }

  s32(offset: number): number {
    this.need(offset + 4)
    return this.#view.getInt32(offset, true)
  }

  u64(offset: number): Words {
    return [this.u32(offset), this.u32(offset + 4)]
  }

  /** Page number of a 64-bit address. */
  page(offset: number): number {
    return this.u32(offset + 4) * PAGES_BELOW_4G + (this.u32(offset) >>> 12)
  }

  setU32(offset: number, value: number): void {
    this.need(offset + 4)
    this.#view.setUint32(offset, value, true)
  }

  setU64(offset: number, [low, high]: Words): void {
    this.setU32(offset, low)
    this.setU32(offset + 4, high)
  }

  set(offset: number, bytes: Uint8Array): void {
    this.need(offset + bytes.length)
    this.bytes.set(bytes, offset)
  }
}

/** The structure behind a pointer. @throws Errno EFAULT when a plain number was passed */
export function userBuffer(argument: IoctlArgument): UserBuffer {
  if (typeof argument === 'number') throw new Errno('EFAULT', 'the argument is a pointer')
  return new UserBuffer(argument)
}

/** The structure, once its first bytes are there and `argsz` covers them. @throws Errno EFAULT, EINVAL */
export function sizedBuffer(argument: IoctlArgument, minimum: number): UserBuffer {
  const buffer = userBuffer(argument)
  buffer.need(minimum)
  if (buffer.u32(0) < minimum) throw new Errno('EINVAL', 'argsz is too small')
  return buffer
}

/** The value of an argument that is no pointer. */
export function plainValue(argument: IoctlArgument): number {
  // Pointers are large numbers: nothing that takes a small one knows them.
  return typeof argument === 'number' ? argument : -1
}

/** The 64-bit address of a byte of a page. */
export function addressOf(page: number, offset = 0): Words {
  const high = Math.floor(page / PAGES_BELOW_4G)
  return [(((page % PAGES_BELOW_4G) << 12) | offset) >>> 0, high]
}

/** Zero-terminated text. @throws Errno EFAULT (no end), EINVAL (longer than a page) */
export function userString(argument: IoctlArgument): string {
  const { bytes } = userBuffer(argument)
  const end = bytes.indexOf(0)
  if (end >= 4096 || (end < 0 && bytes.length >= 4096)) throw new Errno('EINVAL', 'too long')
  if (end < 0) throw new Errno('EFAULT', 'the text does not end')
  return String.fromCharCode(...bytes.subarray(0, end))
}

/** Copies into memory of the process. @throws Errno EFAULT */
export function copyToUser(process: Process, address: number, bytes: Uint8Array): void {
  if (!process.memory.copyTo(address, bytes)) throw new Errno('EFAULT')
}
