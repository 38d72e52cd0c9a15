/**
 * The teaching device of QEMU (docs/specs/edu.rst of QEMU 7.2, hw/misc/edu.c): small enough to
 * write a driver for in an afternoon, and with everything that matters here: registers, an
 * interrupt, DMA.
 *
 *     0x00 RO identification 0x010000ed      0x60 WO raise these interrupt bits
 *     0x04 RW reads back inverted            0x64 WO acknowledge these bits
 *     0x08 RW n; becomes n! later            0x80 RW DMA source        (8 bytes)
 *     0x20 RW bit 0 computing (RO),          0x88 RW DMA destination   (8 bytes)
 *             bit 7 interrupt when done      0x90 RW DMA byte count    (8 bytes)
 *     0x24 RO interrupt status               0x98 RW command: 1 start, 2 to RAM, 4 interrupt 0x100
 *
 * Its own 4 KiB of memory has the DMA address 0x40000. Bus addresses are cut to 28 bits. Registers
 * below 0x80 take accesses of 4 bytes only. What meets no register reads all ones, what is narrower
 * than 4 bytes zeros.
 *
 * Differences: a transfer outside the 4 KiB stops QEMU and is ignored here; a reset clears the
 * registers (QEMU's device keeps them, real hardware would not); the upper half of an 8-byte
 * register can be accessed alone, since that is how 8-byte accesses arrive here.
 */
import type { ConfigSpace } from '../config-space.ts'
import type { Bar, BusMaster, HardwareFunction } from '../function.ts'
import { busAddress, dmaRead, dmaWrite } from './bus-address.ts'
import { InterruptSource } from './interrupt-source.ts'

const IDENTIFICATION = 0x010000ed
const COMPUTING = 0x01
const IRQ_AFTER_FACTORIAL = 0x80
const FACTORIAL_IRQ = 0x001
const DMA_IRQ = 0x100
const START = 1
const TO_RAM = 2
const IRQ_AFTER_DMA = 4
const BUFFER = 0x40000
const BUFFER_BYTES = 4096
const ADDRESS_MASK = 0x0fffffff
const ALL_ONES = 0xffffffff
/** Source, destination, count, command: 8 bytes each from here on. */
const DMA_REGISTERS = 0x80

export class EduFunction implements HardwareFunction {
  readonly kind = 'edu'
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  virtualFunction?: (index: number) => HardwareFunction
  readonly #interrupts: InterruptSource
  #port: BusMaster | null = null
  #liveness = 0
  #factorial = 0
  #status = 0
  #pendingIrqs = 0
  /** Low and high halves of source, destination, count, command. */
  readonly #dma = new Uint32Array(8)
  readonly #buffer = new Uint8Array(BUFFER_BYTES)

  constructor(config: ConfigSpace, bars: readonly Bar[]) {
    this.config = config
    this.bars = bars
    this.#interrupts = new InterruptSource(config)
  }

  readBar(index: number, offset: number, size: 1 | 2 | 4): number {
    if (index !== 0 || size !== 4) return 0
    if (offset >= DMA_REGISTERS && offset < DMA_REGISTERS + 32 && offset % 4 === 0) {
      return this.#dma[(offset - DMA_REGISTERS) / 4] ?? ALL_ONES
    }
    switch (offset) {
      case 0x00:
        return IDENTIFICATION
      case 0x04:
        return this.#liveness
      case 0x08:
        return this.#factorial
      case 0x20:
        return this.#status
      case 0x24:
        return this.#pendingIrqs
      default:
        return ALL_ONES
    }
  }

  writeBar(index: number, offset: number, size: 1 | 2 | 4, value: number): void {
    if (index !== 0 || size !== 4) return
    if (offset >= DMA_REGISTERS) {
      this.#writeDma(offset, value)
      return
    }
    switch (offset) {
      case 0x04:
        this.#liveness = ~value >>> 0
        return
      case 0x08:
        if ((this.#status & COMPUTING) !== 0) return
        this.#factorial = value >>> 0
        this.#status |= COMPUTING
        return
      case 0x20:
        this.#status = (this.#status & COMPUTING) | (value & IRQ_AFTER_FACTORIAL)
        return
      case 0x60:
        this.#raise(value)
        return
      case 0x64:
        this.#pendingIrqs = (this.#pendingIrqs & ~value) >>> 0
        this.#interrupts.level(this.#pendingIrqs !== 0)
        return
    }
  }

  memory(): null {
    return null
  }

  reset(): void {
    this.#interrupts.reset()
    this.#liveness = 0
    this.#factorial = 0
    this.#status = 0
    this.#pendingIrqs = 0
    this.#dma.fill(0)
    this.#buffer.fill(0)
  }

  connect(port: BusMaster | null): void {
    this.#port = port
    this.#interrupts.connect(port)
  }

  get busy(): boolean {
    return (this.#status & COMPUTING) !== 0 || this.#transferring()
  }

  advance(): void {
    if (this.#transferring()) this.#transfer()
    else if ((this.#status & COMPUTING) !== 0) this.#compute()
  }

  #transferring(): boolean {
    return ((this.#dma[6] ?? 0) & START) !== 0
  }

  #writeDma(offset: number, value: number): void {
    const word = (offset - DMA_REGISTERS) / 4
    if (this.#transferring() || !Number.isInteger(word) || word >= this.#dma.length) return
    if (word === 6 && (value & START) === 0) return
    this.#dma[word] = value
    // A write of 4 bytes clears the upper half; one of 8 comes as two and sets it after that.
    if (word % 2 === 0) this.#dma[word + 1] = 0
  }

  #compute(): void {
    let product = 1
    // 34! and above are multiples of 2^32: the loop may stop where the product does.
    for (let n = this.#factorial; n > 0 && product !== 0; n--) product = Math.imul(product, n)
    this.#factorial = product >>> 0
    this.#status &= ~COMPUTING
    if ((this.#status & IRQ_AFTER_FACTORIAL) !== 0) this.#raise(FACTORIAL_IRQ)
  }

  #transfer(): void {
    const [source = 0, sourceHigh = 0, target = 0, targetHigh = 0] = this.#dma
    const [count = 0, countHigh = 0, command = 0] = this.#dma.subarray(4)
    this.#dma[6] = command & ~START
    const toRam = (command & TO_RAM) !== 0
    const inside = (toRam ? source : target) - BUFFER
    const high = (toRam ? sourceHigh : targetHigh) + countHigh
    if (high !== 0 || inside < 0 || inside + count > BUFFER_BYTES) return
    const outside = busAddress((toRam ? target : source) & ADDRESS_MASK, 0)
    const bytes = this.#buffer.subarray(inside, inside + count)
    if (toRam) dmaWrite(this.#port, outside, bytes)
    else {
      // What an abort leaves behind is zeros, as in QEMU; the device does not notice.
      bytes.set(dmaRead(this.#port, outside, count) ?? new Uint8Array(count))
    }
    if ((command & IRQ_AFTER_DMA) !== 0) this.#raise(DMA_IRQ)
  }

  #raise(bits: number): void {
    this.#pendingIrqs = (this.#pendingIrqs | bits) >>> 0
    if (this.#pendingIrqs === 0) return
    this.#interrupts.signal(0)
    this.#interrupts.level(true)
  }
}
