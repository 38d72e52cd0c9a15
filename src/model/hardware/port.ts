/**
 * A function's side of the memory fabric: what it may send, under which id, and where that ends up.
 * See fabric.ts for the way of a transaction.
 */
import { Errno } from '../errno.ts'
import type { PhysicalMemory } from '../memory/physical-memory.ts'
import type { AddressMap, BarHit } from './address-map.ts'
import { isPoweredDown } from './config-space.ts'
import type { BusMaster, HardwareFunction } from './function.ts'
import { INTERRUPT_WINDOW, readPlainMessage } from './interrupt-message.ts'
import { maskOffset, type Message, messageOf, takePending } from './message-registers.ts'
import { reachesDirectly, reachesFromRoot, type Requester, requesterOf } from './routing.ts'
import type { Slots } from './slots.ts'
import type { Interrupt, TranslationHardware } from './translation.ts'

/** An interrupt that reached a processor. */
export interface Delivery {
  readonly from: HardwareFunction
  /** MSI or MSI-X vector of the function; null for a plain DMA write into the interrupt window. */
  readonly vector: number | null
  readonly interrupt: Interrupt
}

/** The IOMMU hardware in charge of a requester; null = addresses are physical. */
export type TranslationOf = (
  source: HardwareFunction,
  requester: Requester,
) => TranslationHardware | null

/** What all ports of a machine share. */
export interface Wiring {
  readonly slots: Slots
  readonly memory: PhysicalMemory
  readonly addresses: AddressMap
  /** Grows whenever ways may have changed. */
  epoch: number
  readonly translationOf: TranslationOf
  readonly deliver: (delivery: Delivery) => void
  readonly setPin: (fn: HardwareFunction, level: boolean) => void
}

const PAGE = 4096
const COMMAND = 0x04
const BUS_MASTER = 0x4
const INTX_DISABLE = 0x400
const STATUS = 0x06
const INTERRUPT_STATUS = 0x8
/** Page of the first address above 32 bits. */
const PAGES_BELOW_4G = 0x100000

export class Port implements BusMaster {
  readonly #wiring: Wiring
  readonly #fn: HardwareFunction
  readonly #inSlot: HardwareFunction
  readonly #routingOffset: () => number
  #epoch = -1
  #requester: Requester | null = null
  #hardware: TranslationHardware | null = null
  #asserted = false
  #level = false

  /**
   * @param inSlot the function itself, or the physical function of a virtual one
   * @param routingOffset what a virtual function adds to the physical function's id
   */
  constructor(
    wiring: Wiring,
    fn: HardwareFunction,
    inSlot: HardwareFunction,
    routingOffset: () => number,
  ) {
    this.#wiring = wiring
    this.#fn = fn
    this.#inSlot = inSlot
    this.#routingOffset = routingOffset
    const mask = maskOffset(fn.config)
    if (mask !== 0) fn.config.onWrite(mask, 4, () => this.#sendPending())
    fn.config.onWrite(COMMAND, 2, () => this.#updateLine())
  }

  read(page: number, offset: number, length: number): Uint8Array | null {
    if (!this.#mayMaster()) return null
    if (offset + length <= PAGE) return this.#readPiece(page, offset, length)
    const bytes = new Uint8Array(length)
    for (const [at, from, size, done] of pieces(page, offset, length)) {
      const piece = this.#readPiece(at, from, size)
      if (piece === null) return null
      bytes.set(piece, done)
    }
    return bytes
  }

  write(page: number, offset: number, bytes: Uint8Array): boolean {
    if (!this.#mayMaster()) return false
    if (offset + bytes.length <= PAGE) return this.#writePiece(page, offset, bytes, null)
    for (const [at, from, size, done] of pieces(page, offset, bytes.length)) {
      if (!this.#writePiece(at, from, bytes.subarray(done, done + size), null)) return false
    }
    return true
  }

  message(vector: number): void {
    const message = messageOf(this.#fn, vector)
    if (message === null || !this.#mayMaster()) return
    this.#send(message, vector)
  }

  pin(asserted: boolean): void {
    this.#asserted = asserted
    const { config } = this.#fn
    const status = config.read(STATUS, 2)
    const bit = asserted ? INTERRUPT_STATUS : 0
    if (config.present) config.poke(STATUS, 2, (status & ~INTERRUPT_STATUS) | bit)
    this.#updateLine()
  }

  #updateLine(): void {
    const enabled = (this.#fn.config.read(COMMAND, 2) & INTX_DISABLE) === 0
    const level = this.#asserted && enabled
    if (level === this.#level) return
    this.#level = level
    this.#wiring.setPin(this.#fn, level)
  }

  #sendPending(): void {
    for (const vector of takePending(this.#fn.config)) this.message(vector)
  }

  #send({ address, upper, data }: Message, vector: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, data, true)
    const page = upper * PAGES_BELOW_4G + Math.floor(address / PAGE)
    this.#writePiece(page, address % PAGE, bytes, vector)
  }

  /** Bus master bit set, and not in a low power state. */
  #mayMaster(): boolean {
    const { config } = this.#fn
    if (!config.present || (config.read(COMMAND, 2) & BUS_MASTER) === 0) return false
    if (isPoweredDown(config)) return false
    if (this.#epoch !== this.#wiring.epoch) this.#findWay()
    return this.#requester !== null
  }

  #findWay(): void {
    this.#epoch = this.#wiring.epoch
    this.#requester = requesterOf(this.#wiring.slots, this.#inSlot, this.#routingOffset())
    this.#hardware =
      this.#requester === null ? null : this.#wiring.translationOf(this.#fn, this.#requester)
  }

  #readPiece(page: number, offset: number, length: number): Uint8Array | null {
    const peer = this.#peer(page, offset)
    if (peer !== null) return readBar(peer, length)
    // Nothing can be read from the interrupt window.
    if (isInterruptPage(page)) return null
    const physical = this.#translate(page, false)
    if (physical < 0) return null
    const target = this.#behindRoot(physical, offset)
    if (target !== null) return readBar(target, length)
    return this.#memoryPage(physical)?.slice(offset, offset + length) ?? null
  }

  #writePiece(page: number, offset: number, bytes: Uint8Array, vector: number | null): boolean {
    const peer = this.#peer(page, offset)
    if (peer !== null) return writeBar(peer, bytes)
    if (isInterruptPage(page)) return this.#interrupt(page, offset, bytes, vector)
    const physical = this.#translate(page, true)
    if (physical < 0) return false
    const target = this.#behindRoot(physical, offset)
    if (target !== null) return writeBar(target, bytes)
    const memory = this.#memoryPage(physical)
    memory?.set(bytes, offset)
    return memory !== null
  }

  /** A device that answers at this bus address and is reached without the root complex. */
  #peer(page: number, offset: number): BarHit | null {
    const hit = this.#wiring.addresses.find(page, offset)
    if (hit === null) return null
    const { slots } = this.#wiring
    const direct = reachesDirectly(slots, this.#inSlot, hit.inSlot, page * PAGE + offset)
    return direct ? hit : null
  }

  #behindRoot(page: number, offset: number): BarHit | null {
    const hit = this.#wiring.addresses.find(page, offset)
    if (hit === null) return null
    return reachesFromRoot(this.#wiring.slots, hit.inSlot, page * PAGE + offset) ? hit : null
  }

  #translate(page: number, write: boolean): number {
    return this.#hardware === null
      ? page
      : this.#hardware.translate(this.#requester?.id ?? 0, page, write)
  }

  #interrupt(page: number, offset: number, bytes: Uint8Array, vector: number | null): boolean {
    if (bytes.length !== 4 || offset % 4 !== 0) return false
    const address = page * PAGE + offset
    const data = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true)
    const interrupt =
      this.#hardware === null
        ? readPlainMessage(address, data)
        : this.#hardware.interrupt(this.#requester?.id ?? 0, address, data)
    if (interrupt === null) return false
    this.#wiring.deliver({ from: this.#fn, vector, interrupt })
    return true
  }

  /** Null where the machine has no memory: the transaction ends in an abort. */
  #memoryPage(page: number): Uint8Array | null {
    try {
      return this.#wiring.memory.bytes(page, 1)
    } catch (error) {
      if (error instanceof Errno) return null
      throw error
    }
  }
}

function isInterruptPage(page: number): boolean {
  return page >= INTERRUPT_WINDOW.firstPage && page <= INTERRUPT_WINDOW.lastPage
}

/** An access cut at page borders: page, offset in it, length, bytes before. */
function pieces(
  page: number,
  offset: number,
  length: number,
): readonly (readonly [page: number, offset: number, size: number, done: number])[] {
  const result: (readonly [number, number, number, number])[] = []
  for (let done = 0; done < length; ) {
    const at = offset + done
    const size = Math.min(length - done, PAGE - (at % PAGE))
    result.push([page + Math.floor(at / PAGE), at % PAGE, size, done])
    done += size
  }
  return result
}

/** The largest aligned accesses that fit: 4, 2 or 1 bytes. */
function accessSize(offset: number, rest: number): 1 | 2 | 4 {
  if (offset % 4 === 0 && rest >= 4) return 4
  return offset % 2 === 0 && rest >= 2 ? 2 : 1
}

function readBar({ fn, bar, offset }: BarHit, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length; ) {
    const size = accessSize(offset + done, length - done)
    let value = fn.readBar(bar, offset + done, size)
    for (let n = 0; n < size; n++, value >>>= 8) bytes[done + n] = value
    done += size
  }
  return bytes
}

function writeBar({ fn, bar, offset }: BarHit, bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length; ) {
    const size = accessSize(offset + done, bytes.length - done)
    let value = 0
    for (let n = size - 1; n >= 0; n--) value = value * 256 + (bytes[done + n] ?? 0)
    fn.writeBar(bar, offset + done, size, value)
    done += size
  }
  return true
}
