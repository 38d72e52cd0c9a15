/**
 * MSI and MSI-X of a device: pci_alloc_irq_vectors and friends (drivers/pci/msi/). The kernel writes the
 * messages; the user only says which event counter each vector rings.
 */
import { Errno } from '../../errno.ts'
import type { InterruptMessage } from '../../hardware/interrupt-message.ts'
import type { IommuUnit } from '../../iommu/unit.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { enablePin } from '../../pci/power.ts'
import type { AllocatedInterrupts, InterruptVectors } from '../interrupt-vectors.ts'

const MSI = 0x05
const MSI_ENABLE = 0x01
const MSI_WIDE = 0x80
const MSIX = 0x11
const MSIX_ENABLE = 0x8000
const MSIX_MASK_ALL = 0x4000
const ENTRY = 16

/** Vectors of a device in use. */
export interface MessageInterrupts {
  /** Vectors that were set up: beyond them there are none, except where they may be added. */
  readonly count: number
  /** The vector's interrupt calls the handler from now on; null silences it. @throws Errno ENOSPC */
  connect(vector: number, handler: (() => void) | null): void
  disable(): void
}

/** What the device could have: the count in its capability; 0 = it has none. */
export function vectorCount({ hardware: { config } }: PciDevice, msix: boolean): number {
  const at = config.capability(msix ? MSIX : MSI)
  if (at === 0) return 0
  const control = config.read(at + 2, 2)
  return msix ? (control & 0x7ff) + 1 : 1 << ((control >> 1) & 7)
}

/**
 * How many of the vectors wanted the kernel can provide. Without remapping, a device gets one MSI only:
 * several would need adjacent vectors of one processor.
 */
export function availableVectors(
  device: PciDevice,
  unit: IommuUnit | undefined,
  msix: boolean,
  wanted: number,
): number {
  const own = Math.min(wanted, vectorCount(device, msix))
  return msix || unit?.interrupts !== undefined ? own : Math.min(own, 1)
}

export function enableMsi(
  vectors: InterruptVectors,
  device: PciDevice,
  unit: IommuUnit | undefined,
  count: number,
): MessageInterrupts {
  const { config } = device.hardware
  const at = config.capability(MSI)
  const handlers: ((() => void) | null)[] = []
  const allocated = vectors.allocate(
    device,
    unit,
    Array.from({ length: count }, (_, vector) => () => handlers[vector]?.()),
  )
  const control = config.read(at + 2, 2)
  const wide = (control & MSI_WIDE) !== 0
  const first = allocated.messages[0]
  if (first === undefined) throw new Errno('ENOSPC')
  config.write(at + 4, 4, first.address)
  if (wide) config.write(at + 8, 4, 0)
  config.write(at + (wide ? 12 : 8), 2, first.data)
  enablePin(device, false)
  const log2 = Math.ceil(Math.log2(count))
  config.write(at + 2, 2, (control & ~0x70) | (log2 << 4) | MSI_ENABLE)
  return {
    count,
    connect: (vector, handler) => {
      handlers[vector] = handler
    },
    disable: () => {
      config.write(at + 2, 2, config.read(at + 2, 2) & ~MSI_ENABLE)
      enablePin(device, true)
      allocated.free()
    },
  }
}

/** All vectors are masked until they are connected. */
export function enableMsix(
  vectors: InterruptVectors,
  device: PciDevice,
  unit: IommuUnit | undefined,
  count: number,
): MessageInterrupts {
  const { config } = device.hardware
  const at = config.capability(MSIX)
  const used = new Map<number, AllocatedInterrupts>()
  const size = vectorCount(device, true)
  config.write(at + 2, 2, config.read(at + 2, 2) | MSIX_ENABLE | MSIX_MASK_ALL)
  for (let vector = 0; vector < size; vector += 1) mask(device, vector, true)
  enablePin(device, false)
  config.write(at + 2, 2, config.read(at + 2, 2) & ~MSIX_MASK_ALL)
  const disconnect = (vector: number): void => {
    mask(device, vector, true)
    used.get(vector)?.free()
    used.delete(vector)
  }
  return {
    count,
    connect: (vector, handler) => {
      disconnect(vector)
      if (handler === null) return
      const allocated = vectors.allocate(device, unit, [handler])
      used.set(vector, allocated)
      const message = allocated.messages[0]
      if (message !== undefined) writeEntry(device, vector, message)
      mask(device, vector, false)
    },
    disable: () => {
      for (const vector of [...used.keys()]) disconnect(vector)
      config.write(at + 2, 2, config.read(at + 2, 2) & ~MSIX_ENABLE)
      enablePin(device, true)
    },
  }
}

function entry({ hardware: { config } }: PciDevice, vector: number): [bar: number, at: number] {
  const table = config.read(config.capability(MSIX) + 4, 4)
  return [table & 7, ((table & ~7) >>> 0) + vector * ENTRY]
}

function mask(device: PciDevice, vector: number, masked: boolean): void {
  const [bar, at] = entry(device, vector)
  device.hardware.writeBar(bar, at + 12, 4, masked ? 1 : 0)
}

function writeEntry(device: PciDevice, vector: number, { address, data }: InterruptMessage): void {
  const [bar, at] = entry(device, vector)
  device.hardware.writeBar(bar, at, 4, address)
  device.hardware.writeBar(bar, at + 4, 4, 0)
  device.hardware.writeBar(bar, at + 8, 4, data)
}
