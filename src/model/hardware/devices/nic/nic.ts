/**
 * A network function: the parts of Intel's 82574L (QEMU: e1000e) that a driver of a few hundred
 * lines needs. Two transmit queues and one receive queue of legacy descriptors, interrupts by
 * MSI-X, MSI or pin, loopback inside the MAC (RCTL 7:6 = 1). Registers are listed in
 * nic-registers.ts.
 *
 * What leaves on the wire reaches the other functions of the same slot (cabling.ts), so that one
 * card with two functions is a whole network, and shows what an isolation group is about: two
 * drivers, two sets of rings, one card.
 *
 * One `advance()` sends one frame: descriptor fetched, buffer read, frame delivered, status
 * written, interrupt raised. Receiving happens at once when a frame arrives; without a free
 * descriptor it is missed. Left out: checksum and segmentation offload, VLAN filters, the PHY
 * behind MDIC.
 */
import type { ConfigSpace } from '../../config-space.ts'
import type { Bar, BusMaster, HardwareFunction } from '../../function.ts'
import { dmaRead, dmaWrite } from '../bus-address.ts'
import { InterruptSource } from '../interrupt-source.ts'
import type { Wire } from './cabling.ts'
import { bufferAddress, DescriptorRing, type Registers } from './descriptor-ring.ts'
import {
  ADDRESS_VALID,
  bufferBytes,
  CAUSE,
  CTRL,
  EERD,
  RCTL,
  REG,
  RING,
  STATUS_UP,
  TCTL_ENABLE,
} from './nic-registers.ts'

const END_OF_PACKET = 0x01
const REPORT_STATUS = 0x08
const EXTENDED = 0x20
const DONE = 0x01
/** End of packet, in the status of a receive descriptor. */
const RECEIVED_WHOLE = 0x02
/** Longest frame that is put together from several descriptors. */
const MAX_FRAME = 16384
const TRANSMIT_QUEUES = 2

export class Nic implements HardwareFunction {
  readonly kind = 'nic'
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  virtualFunction?: (index: number) => HardwareFunction
  readonly #registers: Registers = new Map()
  readonly #interrupts: InterruptSource
  readonly #transmit: readonly DescriptorRing[]
  /** Frames go to the first queue; there is no receive side scaling. */
  readonly #receive: DescriptorRing
  readonly #address: Uint8Array
  #wire: Wire | null = null
  #port: BusMaster | null = null
  #causes = 0
  #mask = 0
  /** Pieces of the frame whose last descriptor has not come yet. */
  #pieces: Uint8Array[] = []

  /** @param address the six bytes of its MAC address */
  constructor(config: ConfigSpace, bars: readonly Bar[], address: Uint8Array) {
    this.config = config
    this.bars = bars
    this.#address = address
    this.#interrupts = new InterruptSource(config)
    this.#transmit = Array.from(
      { length: TRANSMIT_QUEUES },
      (_, n) => new DescriptorRing(this.#registers, REG.transmit + n * RING.next),
    )
    this.#receive = new DescriptorRing(this.#registers, REG.receive)
    this.#powerOn()
  }

  /** Puts it on a wire; before that, what it sends is lost. */
  plugInto(wire: Wire): void {
    this.#wire = wire
  }

  readBar(index: number, offset: number, size: 1 | 2 | 4): number {
    const { table } = this.#interrupts
    if (table?.covers(index, offset) === true) return table.read(index, offset, size)
    if (index !== 0) return index < 2 ? 0 : 2 ** (8 * size) - 1
    const word = this.#read(offset & ~3) >>> (8 * (offset & 3))
    return size === 4 ? word >>> 0 : word & (2 ** (8 * size) - 1)
  }

  /** Registers take accesses of 4 bytes only. */
  writeBar(index: number, offset: number, size: 1 | 2 | 4, value: number): void {
    if (this.#interrupts.table?.covers(index, offset) === true) {
      this.#interrupts.writeTable(index, offset, size, value)
    } else if (index === 0 && size === 4) this.#write(offset, value >>> 0)
  }

  memory(): null {
    return null
  }

  reset(): void {
    this.#interrupts.reset()
    this.#powerOn()
  }

  connect(port: BusMaster | null): void {
    this.#port = port
    this.#interrupts.connect(port)
  }

  get busy(): boolean {
    if (((this.#registers.get(REG.tctl) ?? 0) & TCTL_ENABLE) === 0) return false
    return this.#transmit.some((ring) => !ring.empty)
  }

  advance(): void {
    if (!this.busy) return
    const queue = this.#transmit.findIndex((ring) => !ring.empty)
    const ring = this.#transmit[queue]
    if (ring !== undefined) this.#send(ring, queue)
  }

  /** A frame arrives on the wire. */
  receive(frame: Uint8Array): void {
    const rctl = this.#registers.get(REG.rctl) ?? 0
    if ((rctl & RCTL.enable) === 0 || !this.#accepts(frame, rctl)) return
    const ring = this.#receive
    if (ring.empty || frame.length > bufferBytes(rctl)) {
      this.#count(REG.missed)
      return
    }
    const descriptor = ring.fetch(this.#port)
    if (descriptor === null || !dmaWrite(this.#port, bufferAddress(descriptor), frame)) return
    descriptor.setUint16(8, frame.length, true)
    descriptor.setUint32(12, DONE | RECEIVED_WHOLE, true)
    if (!ring.writeBack(this.#port, descriptor)) return
    ring.advance()
    this.#count(REG.received)
    this.#raise(CAUSE.received | CAUSE.receiveQueue[0])
  }

  #powerOn(): void {
    this.#registers.clear()
    this.#causes = 0
    this.#mask = 0
    this.#pieces = []
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = this.#address
    this.#registers.set(REG.ral, ((d << 24) | (c << 16) | (b << 8) | a) >>> 0)
    this.#registers.set(REG.rah, (ADDRESS_VALID | (f << 8) | e) >>> 0)
    this.#registers.set(REG.status, STATUS_UP)
  }

  #read(offset: number): number {
    switch (offset) {
      case REG.icr: {
        // Reading acknowledges.
        const causes = this.#causes
        this.#causes = 0
        this.#interrupts.level(false)
        return causes
      }
      case REG.ims:
        return this.#mask
      case REG.ics:
      case REG.imc:
        return 0
      default:
        return this.#registers.get(offset) ?? 0
    }
  }

  #write(offset: number, value: number): void {
    switch (offset) {
      case REG.ctrl:
        if ((value & CTRL.reset) !== 0) this.#powerOn()
        else this.#registers.set(offset, value)
        return
      case REG.icr:
        this.#causes = (this.#causes & ~value) >>> 0
        this.#interrupts.level((this.#causes & this.#mask) !== 0)
        return
      case REG.ics:
        this.#raise(value)
        return
      case REG.ims:
        this.#mask = (this.#mask | value) >>> 0
        this.#raise(0)
        return
      case REG.imc:
        this.#mask = (this.#mask & ~value) >>> 0
        this.#interrupts.level((this.#causes & this.#mask) !== 0)
        return
      case REG.eerd:
        this.#registers.set(offset, this.#eeprom(value))
        return
      case REG.status:
        return
      default:
        this.#registers.set(offset, value)
    }
  }

  /** Words 0-2 of the EEPROM hold the MAC address; the rest reads 0. */
  #eeprom(command: number): number {
    if ((command & EERD.start) === 0) return command
    const word = (command >>> 2) & 0x3fff
    const low = this.#address[2 * word] ?? 0
    const high = this.#address[2 * word + 1] ?? 0
    return ((high << 24) | (low << 16) | (command & 0xfffc) | EERD.done) >>> 0
  }

  #send(ring: DescriptorRing, queue: number): void {
    const descriptor = ring.fetch(this.#port)
    if (descriptor === null) {
      // The ring is out of reach: the real device reports an error and stops the queue.
      this.#registers.set(REG.tctl, (this.#registers.get(REG.tctl) ?? 0) & ~TCTL_ENABLE)
      this.#raise(CAUSE.other)
      return
    }
    const words = descriptor.getUint32(8, true)
    const command = words >>> 24
    // A context descriptor (extended, type 0) only sets up offloads and carries no data.
    const isContext = (command & EXTENDED) !== 0 && ((words >>> 20) & 0xf) === 0
    if (!isContext) this.#gather(descriptor, words, command)
    if ((command & REPORT_STATUS) !== 0) {
      descriptor.setUint8(12, descriptor.getUint8(12) | DONE)
      ring.writeBack(this.#port, descriptor)
    }
    ring.advance()
    if ((command & REPORT_STATUS) !== 0) {
      this.#raise(CAUSE.transmitDone | (CAUSE.transmitQueue[queue] ?? 0))
    }
  }

  /** Adds the descriptor's buffer to the frame, and sends it with the last one. */
  #gather(descriptor: DataView, words: number, command: number): void {
    const length = words & ((command & EXTENDED) === 0 ? 0xffff : 0xfffff)
    const piece = dmaRead(this.#port, bufferAddress(descriptor), length)
    // Unreachable data: the frame goes out short, as on real hardware that got an abort.
    if (piece !== null) this.#pieces.push(piece)
    if ((command & END_OF_PACKET) === 0) return
    const frame = joined(this.#pieces)
    this.#pieces = []
    if (frame.length === 0 || frame.length > MAX_FRAME) return
    this.#count(REG.sent)
    const rctl = this.#registers.get(REG.rctl) ?? 0
    if ((rctl & RCTL.loopback) === RCTL.loopbackMac) this.receive(frame)
    else this.#wire?.send(frame)
  }

  #accepts(frame: Uint8Array, rctl: number): boolean {
    const target = frame.subarray(0, 6)
    if (target.every((byte) => byte === 0xff)) {
      return (rctl & (RCTL.broadcast | RCTL.multicastAll)) !== 0
    }
    if (((target[0] ?? 0) & 1) !== 0) return (rctl & RCTL.multicastAll) !== 0
    if ((rctl & RCTL.unicastAll) !== 0) return true
    const low = this.#registers.get(REG.ral) ?? 0
    const high = this.#registers.get(REG.rah) ?? 0
    if (high < ADDRESS_VALID) return false
    return target.every((byte, n) => byte === (((n < 4 ? low : high) >>> (8 * (n % 4))) & 0xff))
  }

  #count(register: number): void {
    this.#registers.set(register, ((this.#registers.get(register) ?? 0) + 1) >>> 0)
  }

  #raise(causes: number): void {
    this.#causes = (this.#causes | causes) >>> 0
    const due = this.#causes & this.#mask
    if (due === 0) return
    if (this.#interrupts.mode === 'msix')
      this.#signalByIvar(causes === 0 ? due : causes & this.#mask)
    else this.#interrupts.signal(0)
    this.#interrupts.level(true)
  }

  /** IVAR: four bits for each of RxQ0, RxQ1, TxQ0, TxQ1, other: vector 2:0 and a valid bit. */
  #signalByIvar(due: number): void {
    const ivar = this.#registers.get(REG.ivar) ?? 0
    const sources = [...CAUSE.receiveQueue, ...CAUSE.transmitQueue, CAUSE.other]
    sources.forEach((cause, n) => {
      const entry = (ivar >>> (4 * n)) & 0xf
      if ((due & cause) !== 0 && (entry & 8) !== 0) this.#interrupts.signal(entry & 7)
    })
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const frame = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    frame.set(piece, at)
    at += piece.length
  }
  return frame
}
