/** A device of a context: regions, configuration space, interrupts, reset, and the request to give it back. */
import { type EventCounter, type Kernel, KernelError } from '../kernel/kernel.ts'
import { INTERRUPT, REGION, type VfioDeviceFile } from '../linux/vfio/vfio-device.ts'
import { type InterruptKind, Interrupts } from './interrupts.ts'
import { Region } from './region.ts'

const BARS = 6
const COMMAND = 0x04
const BUS_MASTER = 0x04
const MEMORY_SPACE = 0x02

export class Device {
  /** "0000:01:00.0" */
  readonly address: string
  /** Configuration space, as the kernel lets users see it. Never mapped. */
  readonly config: Region
  readonly #kernel: Kernel
  readonly #file: VfioDeviceFile
  readonly #regions = new Map<number, Region>()
  readonly #interrupts: Interrupts[] = []
  #request: EventCounter | null = null
  #isClosed = false

  constructor(kernel: Kernel, file: VfioDeviceFile) {
    this.address = file.address
    this.#kernel = kernel
    this.#file = file
    this.config = new Region(file, file.region(REGION.config))
    this.#regions.set(REGION.config, this.config)
  }

  /**
   * A base address register's memory; opened once, and the same again after.
   * @param index 0 to 5 @throws RangeError: the device has no such region; KernelError
   */
  bar(index: number): Region {
    if (!Number.isInteger(index) || index < 0 || index >= BARS) {
      throw new RangeError(`base address register ${String(index)} of 0 to ${String(BARS - 1)}`)
    }
    const known = this.#regions.get(index)
    if (known !== undefined) return known
    const info = this.#file.region(index)
    if (info.size === 0) {
      throw new RangeError(
        `${this.address} has nothing behind base address register ${String(index)}`,
      )
    }
    const region = new Region(this.#file, info)
    this.#regions.set(index, region)
    return region
  }

  /** Lets the device answer at its registers and do DMA, or not: two bits of the command register. */
  setBusMaster(on: boolean): void {
    const command = this.config.read16(COMMAND) | MEMORY_SPACE
    this.config.write16(COMMAND, on ? command | BUS_MASTER : command & ~BUS_MASTER)
  }

  /**
   * Switches interrupts of one kind on; those of another kind must be closed first.
   * @param count vectors @throws RangeError: there are fewer; KernelError EBUSY, ENOSPC ...
   */
  interrupts(kind: InterruptKind, count = 1): Interrupts {
    const interrupts = new Interrupts(this.#kernel, this.#file, kind, count)
    this.#interrupts.push(interrupts)
    return interrupts
  }

  /** Whether `reset` can be asked for without touching other devices. */
  get canReset(): boolean {
    return this.#file.info().canReset
  }

  /** Registers are as after power-on; mappings of memory stay. @throws KernelError EINVAL: there is no way */
  reset(): void {
    this.#file.reset()
  }

  /**
   * Resolves when the host wants the device back: it is unplugged, or its driver is to be changed. The host waits until
   * the device is closed. Never resolves when the kernel cannot say so, or when the device is closed first.
   */
  async removalRequested(): Promise<void> {
    if (this.#file.interrupt(INTERRUPT.request).count === 0) return new Promise(() => undefined)
    if (this.#request === null) {
      this.#request = this.#kernel.eventCounter()
      this.#file.signalWith(INTERRUPT.request, [this.#request.descriptor])
    }
    try {
      await this.#request.ready()
    } catch (cause) {
      if (this.#isClosed && cause instanceof KernelError) return new Promise(() => undefined)
      throw cause
    }
  }

  /** Windows and interrupts first, then the device. Twice is once. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    for (const interrupts of this.#interrupts) interrupts.close()
    for (const region of this.#regions.values()) region.close()
    this.#request?.close()
    await this.#file.close()
  }
}
