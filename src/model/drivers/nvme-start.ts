/**
 * What the nvme driver does first (drivers/nvme/host/pci.c, nvme_pci_configure_admin_queue, and
 * nvme_init_identify): admin queues in DMA memory, the controller switched on, one Identify to see
 * that both sides reach the same memory. An IOMMU that maps nothing for the function makes it fail
 * here.
 */
import { Errno } from '../errno.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { DriverMemory } from './pci-driver.ts'

const REG = { configuration: 0x14, status: 0x1c, sizes: 0x24, submission: 0x28, completion: 0x30 }
const DOORBELL = 0x1000
/** On, with entries of 64 and 16 bytes. */
const ENABLE = 1 | (6 << 16) | (4 << 20)
const READY = 1
const PAGE = 4096
const ENTRIES = 32
const IDENTIFY = 0x06
const CONTROLLER = 1

/** Pages of the memory: submission queue, completion queue, data. */
export function startNvme({ hardware, name }: PciDevice, memory: DriverMemory): void {
  // Captured controllers have registers but nothing behind them.
  if (hardware.kind !== 'nvme') return
  memory.bytes.fill(0)
  write(hardware, REG.configuration, 0)
  write(hardware, REG.sizes, (ENTRIES - 1) | ((ENTRIES - 1) << 16))
  writeAddress(hardware, REG.submission, memory.iovaPage)
  writeAddress(hardware, REG.completion, memory.iovaPage + 1)
  write(hardware, REG.configuration, ENABLE)
  if ((hardware.readBar(0, REG.status, 4) & READY) === 0)
    throw new Errno('ENODEV', `${name}: not ready`)
  identify(hardware, memory)
  const status = new DataView(memory.bytes.buffer, memory.bytes.byteOffset + PAGE).getUint16(
    14,
    true,
  )
  // Phase bit set and no error: the completion is new, and so is the data.
  if (status !== 1) throw new Errno('ENODEV', `${name}: no answer to Identify`)
}

export function stopNvme({ hardware }: PciDevice): void {
  if (hardware.kind === 'nvme') write(hardware, REG.configuration, 0)
}

function identify(hardware: HardwareFunction, memory: DriverMemory): void {
  const command = new DataView(memory.bytes.buffer, memory.bytes.byteOffset)
  command.setUint8(0, IDENTIFY)
  const data = address(memory.iovaPage + 2)
  command.setUint32(24, data.low, true)
  command.setUint32(28, data.high, true)
  command.setUint32(40, CONTROLLER, true)
  write(hardware, DOORBELL, 1)
  if (hardware.busy) hardware.advance()
  // The completion is taken.
  write(hardware, DOORBELL + 4, 1)
}

function writeAddress(hardware: HardwareFunction, register: number, page: number): void {
  const { low, high } = address(page)
  write(hardware, register, low)
  write(hardware, register + 4, high)
}

function write(hardware: HardwareFunction, register: number, value: number): void {
  hardware.writeBar(0, register, 4, value)
}

/** Halves of the bus address of a page. */
function address(page: number): { readonly low: number; readonly high: number } {
  return { low: (page * PAGE) % 2 ** 32, high: Math.floor(page / 2 ** 20) }
}
