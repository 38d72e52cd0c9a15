/**
 * DEVICE_IOEVENTFD: an event counter that, when signalled, writes a fixed value to a register. A virtual
 * machine's doorbell then reaches the device without a round trip through the program.
 */
import { Errno } from '../../errno.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { IoctlArgument, Process } from '../../process.ts'
import { sizedBuffer, type Words } from '../user-buffer.ts'
import { REGION_SPACING } from '../vfio-abi.ts'
import type { BarRegions } from './bar-regions.ts'
import { counterOf } from './interrupt-settings.ts'

const BYTES = 28
const SIZES: readonly number[] = [1, 2, 4, 8]
const MAXIMUM = 1000

interface EventWrite {
  readonly index: number
  readonly at: number
  readonly size: number
  readonly value: Words
  readonly stop: () => void
}

export class EventWrites {
  readonly #device: PciDevice
  readonly #regions: BarRegions
  #writes: readonly EventWrite[] = []

  constructor(device: PciDevice, regions: BarRegions) {
    this.#device = device
    this.#regions = regions
  }

  /** Descriptor -1 takes one away. @throws Errno EINVAL, EEXIST, ENODEV, ENOSPC, EBADF, EFAULT */
  set(argument: IoctlArgument, process: Process): void {
    const buffer = sizedBuffer(argument, BYTES)
    const size = buffer.u32(4)
    const descriptor = buffer.s32(24)
    const [low, high] = buffer.u64(8)
    const value = buffer.u64(16)
    if (!SIZES.includes(size) || descriptor < -1) throw new Errno('EINVAL')
    const offset = high * 2 ** 32 + low
    const index = Math.floor(offset / REGION_SPACING)
    const at = offset % REGION_SPACING
    if (!this.#regions.allowsEvents(index, at, size)) throw new Errno('EINVAL')
    const existing = this.#writes.find(
      (write) =>
        write.index === index &&
        write.at === at &&
        write.size === size &&
        write.value[0] === value[0] &&
        write.value[1] === value[1],
    )
    if (existing !== undefined) {
      if (descriptor !== -1) throw new Errno('EEXIST')
      existing.stop()
      this.#writes = this.#writes.filter((write) => write !== existing)
      return
    }
    if (descriptor < 0) throw new Errno('ENODEV')
    if (this.#writes.length >= MAXIMUM) throw new Errno('ENOSPC')
    const counter = counterOf(process, descriptor)
    const stop = counter.listen(() => {
      counter.take()
      this.#write(index, at, size, value)
    })
    this.#writes = [...this.#writes, { index, at, size, value, stop }]
  }

  clear(): void {
    for (const { stop } of this.#writes) stop()
    this.#writes = []
  }

  #write(index: number, at: number, size: number, [low, high]: Words): void {
    const { hardware } = this.#device
    if (size === 1 || size === 2 || size === 4) {
      hardware.writeBar(index, at, size, size === 4 ? low : low % 2 ** (8 * size))
      return
    }
    hardware.writeBar(index, at, 4, low)
    hardware.writeBar(index, at + 4, 4, high)
  }
}
