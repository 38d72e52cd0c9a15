/**
 * A device in the hands of its user (drivers/vfio/pci): regions, interrupts and reset through one descriptor.
 *
 *     regions    0-5 base address registers, 6 ROM, 7 configuration space, 8 VGA
 *     interrupts 0 INTx, 1 MSI, 2 MSI-X, 3 errors, 4 requests to give the device back
 */
import {
  DEVICE_FEATURE,
  DEVICE_INFO,
  DEVICE_REQUEST,
  FEATURE_FLAG,
  HOT_RESET,
  HOT_RESET_INFO,
  IRQ_INFO,
  IRQ_SET,
  IRQ_SET_FLAG,
  REGION_INFO,
} from '../../kernel/abi/vfio.ts'
import { type Handle, KernelError, type Memory } from '../../kernel/kernel.ts'
import { formatAddress } from '../../pci/address.ts'
import { askWithChain, capabilitiesIn, readU64 } from './capabilities.ts'

export const REGION = { rom: 6, config: 7, vga: 8 } as const
export const INTERRUPT = { intx: 0, msi: 1, msix: 2, error: 3, request: 4 } as const

const DEVICE_FLAG = { reset: 1, pci: 2 } as const
const REGION_FLAG = { read: 1, write: 2, mmap: 4 } as const
const IRQ_FLAG = { eventfd: 1, maskable: 2, automasked: 4, noResize: 8 } as const
const CAPABILITY_SPARSE_MMAP = 1
const AREAS_AT = 16
const AREA_BYTES = 16
const DESCRIPTOR_BYTES = 4
/** Takes the eventfd away. */
const NO_EVENT = -1
const DEPENDENT_BYTES = 8
const FEATURE = { sleep: 3, wake: 5 } as const

export interface DeviceInfo {
  readonly canReset: boolean
  readonly regions: number
  readonly interrupts: number
}

export interface RegionInfo {
  readonly index: number
  /** Bytes; 0: the device has no such region. */
  readonly size: number
  readonly readable: boolean
  readonly writable: boolean
  /** Parts that can be mapped, in bytes from its start; the whole region when the kernel names none. */
  readonly mappable: readonly { readonly offset: number; readonly size: number }[]
  /** Where it is in the file of the device. */
  readonly offset: number
}

export interface InterruptInfo {
  readonly index: number
  /** How many there are; 0: none of this kind. */
  readonly count: number
  /** The kernel masks it when it fires, until it is unmasked (INTx). */
  readonly automasked: boolean
}

/** struct vfio_pci_dependent_device */
export interface DependentDevice {
  readonly address: string
  /** Id of its group. */
  readonly group: string
}

export class VfioDeviceFile {
  readonly address: string
  readonly #handle: Handle

  constructor(address: string, handle: Handle) {
    this.address = address
    this.#handle = handle
  }

  /** @throws KernelError */
  info(): DeviceInfo {
    const answer = askWithChain(this.#handle, DEVICE_REQUEST.getInfo, DEVICE_INFO.bytes)
    const view = new DataView(answer.buffer)
    return {
      canReset: (view.getUint32(4, true) & DEVICE_FLAG.reset) !== 0,
      regions: view.getUint32(8, true),
      interrupts: view.getUint32(12, true),
    }
  }

  /** @throws KernelError EINVAL: no such index */
  region(index: number): RegionInfo {
    const { bytes } = REGION_INFO
    const answer = askWithChain(this.#handle, DEVICE_REQUEST.getRegionInfo, bytes, (view) => {
      view.setUint32(8, index, true)
    })
    const view = new DataView(answer.buffer)
    const flags = view.getUint32(4, true)
    const size = readU64(view, 16)
    const isMappable = (flags & REGION_FLAG.mmap) !== 0
    return {
      ...{ index, size, offset: readU64(view, 24) },
      readable: (flags & REGION_FLAG.read) !== 0,
      writable: (flags & REGION_FLAG.write) !== 0,
      mappable: isMappable ? areasIn(answer, view.getUint32(12, true), size) : [],
    }
  }

  /** @throws KernelError EINVAL: no such index */
  interrupt(index: number): InterruptInfo {
    const answer = askWithChain(this.#handle, DEVICE_REQUEST.getIrqInfo, IRQ_INFO.bytes, (view) => {
      view.setUint32(8, index, true)
    })
    const view = new DataView(answer.buffer)
    const isSignalled = (view.getUint32(4, true) & IRQ_FLAG.eventfd) !== 0
    return {
      index,
      count: isSignalled ? view.getUint32(12, true) : 0,
      automasked: (view.getUint32(4, true) & IRQ_FLAG.automasked) !== 0,
    }
  }

  /** Whether the device can be told to begin anew without others being told too. @throws KernelError */
  reset(): void {
    this.#handle.ioctl(DEVICE_REQUEST.reset, 0)
  }

  /**
   * Devices that a reset of the slot or bus meets, this one too; null: there is no such reset.
   * @throws KernelError
   */
  hotResetScope(): readonly DependentDevice[] | null {
    const ask = (length: number): Uint8Array => {
      const answer = new Uint8Array(length)
      new DataView(answer.buffer).setUint32(0, length, true)
      this.#handle.ioctl(DEVICE_REQUEST.getHotResetInfo, answer)
      return answer
    }
    try {
      // Too small on purpose: the kernel says how many there are.
      const room = countOf(this.#handle)
      return dependentsIn(ask(HOT_RESET_INFO.bytes + room * DEPENDENT_BYTES))
    } catch (cause) {
      if (cause instanceof KernelError && cause.code === 'ENODEV') return null
      throw cause
    }
  }

  /** @param groups descriptors of the groups of all devices that it meets @throws KernelError EINVAL, EPERM */
  hotReset(groups: readonly number[]): void {
    const argument = new Uint8Array(HOT_RESET.bytes + groups.length * DESCRIPTOR_BYTES)
    const view = new DataView(argument.buffer)
    view.setUint32(0, argument.length, true)
    view.setUint32(8, groups.length, true)
    groups.forEach((descriptor, n) => {
      view.setInt32(HOT_RESET.bytes + n * DESCRIPTOR_BYTES, descriptor, true)
    })
    this.#handle.ioctl(DEVICE_REQUEST.hotReset, argument)
  }

  /** Whether the kernel can put the device into a low-power state on request. */
  canSleep(): boolean {
    try {
      this.#feature(FEATURE_FLAG.probe | FEATURE_FLAG.set | FEATURE.sleep)
      return true
    } catch (cause) {
      if (cause instanceof KernelError) return false
      throw cause
    }
  }

  /** @throws KernelError ENOTTY: not offered; EINVAL: it sleeps already */
  sleep(): void {
    this.#feature(FEATURE_FLAG.set | FEATURE.sleep)
  }

  /** @throws KernelError ENOTTY: not offered; EINVAL: it does not sleep */
  wake(): void {
    this.#feature(FEATURE_FLAG.set | FEATURE.wake)
  }

  #feature(flags: number): void {
    const argument = new Uint8Array(DEVICE_FEATURE.bytes)
    const view = new DataView(argument.buffer)
    view.setUint32(0, argument.length, true)
    view.setUint32(4, flags, true)
    this.#handle.ioctl(DEVICE_REQUEST.feature, argument)
  }

  /**
   * Which eventfds are signalled by the interrupts of one kind, from the first one on; all others of that kind go.
   * @param descriptors null: that one signals nobody @throws KernelError EINVAL, ENOSPC ...
   */
  signalWith(index: number, descriptors: readonly (number | null)[]): void {
    const count = descriptors.length
    const kind = count === 0 ? IRQ_SET_FLAG.dataNone : IRQ_SET_FLAG.dataEventfd
    const argument = this.#irqSet(index, kind | IRQ_SET_FLAG.actionTrigger, 0, count, count)
    const view = new DataView(argument.buffer)
    descriptors.forEach((descriptor, n) => {
      view.setInt32(IRQ_SET.bytes + n * DESCRIPTOR_BYTES, descriptor ?? NO_EVENT, true)
    })
    this.#handle.ioctl(DEVICE_REQUEST.setIrqs, argument)
  }

  /** Lets an automasked interrupt fire again. @throws KernelError */
  unmask(index: number): void {
    const flags = IRQ_SET_FLAG.dataNone | IRQ_SET_FLAG.actionUnmask
    this.#handle.ioctl(DEVICE_REQUEST.setIrqs, this.#irqSet(index, flags, 0, 1, 0))
  }

  #irqSet(index: number, flags: number, start: number, count: number, data: number): Uint8Array {
    const argument = new Uint8Array(IRQ_SET.bytes + data * DESCRIPTOR_BYTES)
    const view = new DataView(argument.buffer)
    const fields = [argument.length, flags, index, start, count]
    fields.forEach((value, n) => {
      view.setUint32(n * 4, value, true)
    })
    return argument
  }

  /** @throws KernelError EIO: the device does not answer */
  read(offset: number, length: number): Uint8Array {
    return this.#handle.read(offset, length)
  }

  /** @throws KernelError */
  write(offset: number, bytes: Uint8Array): number {
    return this.#handle.write(offset, bytes)
  }

  /** @throws KernelError EINVAL: not a part that can be mapped */
  map(offset: number, length: number): Memory {
    return this.#handle.map(offset, length)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

function areasIn(answer: Uint8Array, first: number, size: number): RegionInfo['mappable'] {
  const sparse = capabilitiesIn(answer, first).find(({ id }) => id === CAPABILITY_SPARSE_MMAP)
  if (sparse === undefined) return [{ offset: 0, size }]
  const view = new DataView(answer.buffer)
  const count = view.getUint32(sparse.offset + 8, true)
  return Array.from({ length: count }, (_, n) => {
    const at = sparse.offset + AREAS_AT + n * AREA_BYTES
    return { offset: readU64(view, at), size: readU64(view, at + 8) }
  })
}

/** How many devices a hot reset meets. @throws KernelError ENODEV */
function countOf(handle: Handle): number {
  const answer = new Uint8Array(HOT_RESET_INFO.bytes)
  const view = new DataView(answer.buffer)
  view.setUint32(0, answer.length, true)
  try {
    handle.ioctl(DEVICE_REQUEST.getHotResetInfo, answer)
  } catch (cause) {
    if (!(cause instanceof KernelError) || cause.code !== 'ENOSPC') throw cause
  }
  return view.getUint32(8, true)
}

function dependentsIn(answer: Uint8Array): readonly DependentDevice[] {
  const view = new DataView(answer.buffer)
  return Array.from({ length: view.getUint32(8, true) }, (_, n) => {
    const at = HOT_RESET_INFO.bytes + n * DEPENDENT_BYTES
    const devfn = view.getUint8(at + 7)
    const address = formatAddress({
      domain: view.getUint16(at + 4, true),
      bus: view.getUint8(at + 6),
      device: devfn >> 3,
      function: devfn & 7,
    })
    return { address, group: String(view.getUint32(at, true)) }
  })
}
