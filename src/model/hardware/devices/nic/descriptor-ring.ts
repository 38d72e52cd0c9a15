/**
 * A ring of 16-byte descriptors in memory, shared by driver and device: the driver fills at the
 * tail, the device works at the head, head = tail means nothing to do. Everything of it is read and
 * written by DMA, so a driver that points a ring at memory it was not given gets an IOMMU fault.
 */
import type { BusMaster } from '../../function.ts'
import { advanceAddress, type BusAddress, busAddress, dmaRead, dmaWrite } from '../bus-address.ts'
import { RING } from './nic-registers.ts'

const DESCRIPTOR = 16

/** The registers of the device, by offset. */
export type Registers = Map<number, number>

export class DescriptorRing {
  readonly #registers: Registers
  /** Offset of the ring's block of registers. */
  readonly #block: number

  constructor(registers: Registers, block: number) {
    this.#registers = registers
    this.#block = block
  }

  get empty(): boolean {
    return this.#count === 0 || this.#head === this.#get(RING.tail) % this.#count
  }

  /** The descriptor at the head; null when the IOMMU refused it. */
  fetch(port: BusMaster | null): DataView | null {
    const bytes = dmaRead(port, this.#address, DESCRIPTOR)
    return bytes === null ? null : new DataView(bytes.buffer)
  }

  /** Writes the descriptor back. @returns whether it arrived */
  writeBack(port: BusMaster | null, descriptor: DataView): boolean {
    return dmaWrite(port, this.#address, new Uint8Array(descriptor.buffer))
  }

  advance(): void {
    this.#registers.set(this.#block + RING.head, (this.#head + 1) % Math.max(this.#count, 1))
  }

  get #count(): number {
    return Math.floor(this.#get(RING.length) / DESCRIPTOR)
  }

  get #head(): number {
    return this.#get(RING.head) % Math.max(this.#count, 1)
  }

  get #address(): BusAddress {
    const base = busAddress(this.#get(RING.baseLow) & ~0xf, this.#get(RING.baseHigh))
    return advanceAddress(base, this.#head * DESCRIPTOR)
  }

  #get(register: number): number {
    return this.#registers.get(this.#block + register) ?? 0
  }
}

/** Address of the buffer: the first 8 bytes of every descriptor. */
export function bufferAddress(descriptor: DataView): BusAddress {
  return busAddress(descriptor.getUint32(0, true), descriptor.getUint32(4, true))
}
