/**
 * A device of a context: regions, configuration space, interrupts, reset, sleep, and the request to give it back.
 *
 * When the host wants the device back (it is unplugged, or its driver is to be changed), the kernel asks, and
 * waits until it is closed. So it is closed then: at once, or when the program has finished with it. Whoever waits for
 * an interrupt of it, or touches a register, gets DeviceRemovedError.
 */
import { IsogroupError } from '../base/errors.ts'
import { type EventCounter, type Kernel, KernelError } from '../kernel/kernel.ts'
import {
  type DependentDevice,
  INTERRUPT,
  REGION,
  type VfioDeviceFile,
} from '../linux/vfio/vfio-device.ts'
import { type InterruptKind, Interrupts } from './interrupts.ts'
import { MemoryGate } from './memory-gate.ts'
import { Region } from './region.ts'
import { undoAll } from './undo.ts'

const BARS = 6
const COMMAND = 0x04
const MEMORY_SPACE = 0x02
const BUS_MASTER = 0x04

/** What a device needs of the context that it is in. */
export interface DeviceSurroundings {
  readonly kernel: Kernel
  /** Ids and descriptors of the groups in the context now. */
  readonly groups: () => ReadonlyMap<string, number>
  /** The host wants it back: what the program has to do first. */
  readonly onRemovalRequest: (device: Device) => void | Promise<void>
}

/** What a reset meets. */
export type ResetScope = 'function' | 'slot'

export class Device {
  /** "0000:01:00.0" */
  readonly address: string
  /** Configuration space, as the kernel lets users see it. */
  readonly config: Region
  /** Resolves when the device was closed because the host wanted it back; never, when it is closed otherwise. */
  readonly removed: Promise<void>
  readonly #around: DeviceSurroundings
  readonly #file: VfioDeviceFile
  readonly #gate: MemoryGate
  readonly #regions = new Map<number, Region>()
  readonly #interrupts = new Set<Interrupts>()
  #request: EventCounter | null = null
  #isClosed = false

  /** @throws KernelError */
  constructor(file: VfioDeviceFile, around: DeviceSurroundings) {
    this.address = file.address
    this.#around = around
    this.#file = file
    const config = file.region(REGION.config)
    this.#gate = new MemoryGate(file, config)
    this.config = new Region(file, config, {
      written: () => {
        this.#gate.look()
      },
    })
    this.#regions.set(REGION.config, this.config)
    this.removed = new Promise((resolve, reject) => {
      this.#giveBackWhenAsked().then((asked) => {
        if (asked) resolve()
      }, reject)
    })
    // Nobody has to wait for it.
    this.removed.catch(() => undefined)
  }

  get isClosed(): boolean {
    return this.#isClosed
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
    const region = new Region(this.#file, info, { gate: this.#gate })
    this.#regions.set(index, region)
    return region
  }

  /** Lets the device answer at its registers, and do DMA unless told otherwise: bits of the command register. */
  enable({ dma = true }: { readonly dma?: boolean } = {}): void {
    const command = this.config.read16(COMMAND) | MEMORY_SPACE
    this.config.write16(COMMAND, dma ? command | BUS_MASTER : command & ~BUS_MASTER)
  }

  /**
   * Switches interrupts of one kind on; those of another kind must be closed first.
   * @param count vectors @throws RangeError: there are fewer; KernelError EBUSY, EINVAL ...
   */
  interrupts(kind: InterruptKind, count = 1): Interrupts {
    const interrupts = new Interrupts(this.#around.kernel, this.#file, kind, count)
    this.#interrupts.add(interrupts)
    return interrupts
  }

  /** How many interrupts of a kind it has; 0: none. @throws KernelError */
  interruptCount(kind: InterruptKind): number {
    return this.#file.interrupt(INTERRUPT[kind]).count
  }

  /** Whether its function can be reset alone. @throws KernelError */
  get canReset(): boolean {
    return this.#file.info().canReset
  }

  /**
   * Devices that a reset of its slot or bus would meet, this one too, with the ids of their groups.
   * @returns null: there is no such reset @throws KernelError
   */
  get slot(): readonly DependentDevice[] | null {
    return this.#file.hotResetScope()
  }

  /**
   * Registers are as after power-on, interrupts stay on, and so does what is mapped.
   * @throws IsogroupError refused: there is no such reset, or it meets devices outside of the context; KernelError
   */
  reset(scope: ResetScope = 'function'): void {
    if (scope === 'function') {
      if (!this.#file.info().canReset) throw this.#noReset('of its function', 'reset("slot")')
      this.#file.reset()
      this.#gate.look()
      return
    }
    const met = this.#file.hotResetScope()
    if (met === null) throw this.#noReset('of its slot or bus', 'reset()')
    const groups = this.#around.groups()
    const outside = met.filter(({ group }) => !groups.has(group))
    if (outside.length > 0) {
      const names = outside.map(({ address, group }) => `${address} (group ${group})`)
      throw new IsogroupError(
        'refused',
        `a reset of the slot or bus of ${this.address} meets devices outside of the context: ${names.join(', ')}`,
        'add their groups to the context first',
      )
    }
    const descriptors = [...new Set(met.map(({ group }) => group))].map(
      (id) => groups.get(id) ?? -1,
    )
    this.#file.hotReset(descriptors)
    this.#gate.look()
  }

  /** Whether `sleep` can be asked for: since Linux 6.1, of devices with runtime power management. */
  get canSleep(): boolean {
    return this.#file.canSleep()
  }

  /** Registers do not answer until `wake`. @throws KernelError ENOTTY: not offered */
  sleep(): void {
    this.#file.sleep()
    this.#gate.asleep = true
  }

  /** @throws KernelError ENOTTY, EINVAL: it does not sleep */
  wake(): void {
    this.#file.wake()
    this.#gate.asleep = false
  }

  /** Interrupts and windows first, then the device. Twice is once. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await undoAll([
      ...[...this.#interrupts].map((interrupts) => () => {
        interrupts.close()
      }),
      ...[...this.#regions.values()].map((region) => () => {
        region.close()
      }),
      () => this.#request?.close(),
      () => this.#file.close(),
    ])
  }

  /** @returns whether the host asked; false: it was closed before, or the kernel cannot ask */
  async #giveBackWhenAsked(): Promise<boolean> {
    if (this.#file.interrupt(INTERRUPT.request).count === 0) return false
    this.#request = this.#around.kernel.eventCounter()
    this.#file.signalWith(INTERRUPT.request, [this.#request.descriptor])
    try {
      await this.#request.ready(false)
    } catch (cause) {
      if (cause instanceof KernelError) return false
      throw cause
    }
    try {
      await this.#around.onRemovalRequest(this)
    } finally {
      for (const interrupts of this.#interrupts) interrupts.deviceRemoved()
      await this.close()
    }
    return true
  }

  #noReset(what: string, instead: string): IsogroupError {
    return new IsogroupError(
      'refused',
      `${this.address} has no reset ${what}`,
      `${instead} may be there`,
    )
  }
}
