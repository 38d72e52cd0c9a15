/**
 * A PCI function of a model, seen from its own side: what it can reach by DMA, and what its kernel driver
 * lets it reach. For finding out what isolation is worth, by trying.
 */
import { type Memory, KernelError } from '../kernel/kernel.ts'
import { Errno } from '../model/errno.ts'
import type { HardwareFunction } from '../model/hardware/function.ts'
import type { Model } from '../model/model.ts'

const PAGE = 4096

export interface ModelDevice {
  /** "0000:01:00.0" */
  readonly address: string
  /**
   * One DMA read, as the function's own engine makes it: with its requester id, past the bridges above it,
   * through the IOMMU. Needs the bus master bit, which a kernel driver sets; a user of VFIO sets it in
   * config space.
   * @param from bus address in bytes, exact up to 2^53
   * @returns null when it was refused: not bus master, asleep, unplugged, or blocked (see `faults`)
   */
  read(from: number, length: number): Uint8Array | null
  /**
   * One DMA write, as `read`. Four bytes to 0xfee00000-0xfeefffff are an interrupt.
   * @returns whether it arrived
   */
  write(to: number, bytes: Uint8Array): boolean
  /**
   * Memory that the bound kernel driver shares with the function (dma_alloc_coherent): `address` is the bus
   * address that the function uses, `bytes` is what the driver sees. `release` before the driver leaves.
   * @param length bytes, rounded up to pages of 4 KiB
   * @throws KernelError ENODEV no kernel driver is bound, ENOMEM
   */
  driverMemory(length: number): Memory
}

/** @throws KernelError ENODEV when the kernel knows no such function */
export function modelDevice(model: Model, address: string): ModelDevice {
  const hardware = model.pci.device(address)?.hardware
  if (hardware === undefined) throw new KernelError('ENODEV', 'open', address)
  return {
    address,
    read: (from, length) =>
      model.fabric.portOf(hardware)?.read(Math.floor(from / PAGE), from % PAGE, length) ?? null,
    write: (to, bytes) =>
      model.fabric.portOf(hardware)?.write(Math.floor(to / PAGE), to % PAGE, bytes) ?? false,
    driverMemory: (length) => driverMemory(model, address, hardware, length),
  }
}

function driverMemory(
  { pci, dma, context }: Model,
  address: string,
  hardware: HardwareFunction,
  length: number,
): Memory {
  const device = pci.byHardware.get(hardware)
  // A VFIO driver maps nothing for itself: its user does.
  if (device === undefined || device.driver === null || device.driver.managesDma) {
    throw new KernelError('ENODEV', 'memory', address)
  }
  try {
    const memory = dma.allocateCoherent(device, Math.ceil(length / PAGE))
    let held = true
    return {
      address: memory.iovaPage * PAGE,
      bytes: context.memory.bytes(memory.physicalPage, memory.pages),
      release: () => {
        if (held) dma.freeCoherent(device, memory)
        held = false
      },
    }
  } catch (cause) {
    if (cause instanceof Errno) throw new KernelError(cause.code, 'memory', address)
    throw cause
  }
}
