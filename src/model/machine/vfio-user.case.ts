/** What administrators and programs do with functions through the Kernel port, for tests. */
import { encodeUtf8 } from '../../base/utf8.ts'
import type { Handle, Kernel } from '../../kernel/kernel.ts'
import type { Clock } from '../kernel-calls.ts'

const PCI = '/sys/bus/pci'
const DEADLINE = 1000
const SET_IOMMU = 0x3b66
const SET_CONTAINER = 0x3b68
const GET_DEVICE_FD = 0x3b6a

/** Time that goes on when told. */
export class HandClock implements Clock {
  readonly #waiting: (() => void)[] = []

  after(_milliseconds: number, callback: () => void): () => void {
    this.#waiting.push(callback)
    return () => {
      const at = this.#waiting.indexOf(callback)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  /** Deadlines that have neither passed nor been called off. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** All deadlines pass. */
  ring(): void {
    for (const callback of this.#waiting.splice(0)) callback()
  }
}

/** Puts a function into the hands of vfio-pci, as an administrator does. */
export async function giveToVfio(kernel: Kernel, address: string): Promise<void> {
  const write = (path: string, text: string): Promise<void> =>
    kernel.write(`${PCI}/${path}`, encodeUtf8(text), DEADLINE)
  await write(`devices/${address}/driver_override`, 'vfio-pci')
  if (kernel.exists(`${PCI}/devices/${address}/driver`)) {
    await write(`devices/${address}/driver/unbind`, address)
  }
  await write('drivers_probe', address)
}

export function groupOf(kernel: Kernel, address: string): string {
  return kernel.link(`${PCI}/devices/${address}/iommu_group`).split('/').at(-1) ?? ''
}

export interface OpenedDevice {
  readonly container: Handle
  readonly group: Handle
  readonly device: Handle
}

/** Container, group and device of a program that uses one function. */
export async function openDevice(kernel: Kernel, address: string): Promise<OpenedDevice> {
  const container = await kernel.open('/dev/vfio/vfio')
  const group = await kernel.open(`/dev/vfio/${groupOf(kernel, address)}`)
  const argument = new Uint8Array(4)
  new DataView(argument.buffer).setInt32(0, container.descriptor, true)
  group.ioctl(SET_CONTAINER, argument)
  container.ioctl(SET_IOMMU, 3)
  const descriptor = group.ioctl(GET_DEVICE_FD, encodeUtf8(`${address}\0`))
  return { container, group, device: kernel.handle(descriptor, address) }
}
