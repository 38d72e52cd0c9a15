/**
 * DMA of more than one page. A transaction goes to one page of 4 KiB (a PCI Express request must
 * not cross such a border, Base Specification 2.2.7), so a transfer is cut at the borders, and an
 * IOMMU can refuse any of the pieces.
 *
 * Bus addresses have 64 bits; as page and offset each half is a number that JavaScript keeps
 * exactly.
 */
import type { BusMaster } from '../function.ts'

const PAGE = 4096

export interface BusAddress {
  readonly page: number
  /** 0-4095 */
  readonly offset: number
}

/** From the two registers that hold the halves. */
export function busAddress(low: number, high: number): BusAddress {
  return { page: (high >>> 0) * 0x100000 + (low >>> 12), offset: low & 0xfff }
}

/** The address so many bytes on. */
export function advanceAddress(address: BusAddress, bytes: number): BusAddress {
  const offset = address.offset + bytes
  return { page: address.page + Math.floor(offset / PAGE), offset: offset % PAGE }
}

/** @returns null when any piece was refused: the device must not use the rest either */
export function dmaRead(
  port: BusMaster | null,
  from: BusAddress,
  length: number,
): Uint8Array | null {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const at = advanceAddress(from, done)
    const piece = port?.read(at.page, at.offset, Math.min(PAGE - at.offset, length - done)) ?? null
    if (piece === null) return null
    bytes.set(piece, done)
    done += piece.length
  }
  return bytes
}

/** Pieces before a refused one have arrived. @returns whether all did */
export function dmaWrite(port: BusMaster | null, to: BusAddress, bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length; ) {
    const at = advanceAddress(to, done)
    const end = Math.min(done + PAGE - at.offset, bytes.length)
    if (port?.write(at.page, at.offset, bytes.subarray(done, end)) !== true) return false
    done = end
  }
  return true
}
