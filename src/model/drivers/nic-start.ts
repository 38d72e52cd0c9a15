/**
 * What network drivers do with the function's rings (e1000_configure_rx in
 * drivers/net/ethernet/intel/e1000e/netdev.c): receive descriptors that point at buffers, all in
 * DMA memory. From then on whatever arrives on the wire is written there, without anybody asking.
 */
import type { HardwareFunction } from '../hardware/function.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { DriverMemory } from './pci-driver.ts'

const REG = { receiveControl: 0x0100, transmitControl: 0x0400, ring: 0x2800 }
const RING = { baseLow: 0x00, baseHigh: 0x04, length: 0x08, head: 0x10, tail: 0x18 }
/** Receiver on, all addresses, buffers of 2048 bytes. */
const RECEIVE = (1 << 1) | (1 << 3) | (1 << 4) | (1 << 15)
const PAGE = 4096
const DESCRIPTORS = 8
const BUFFERS = 2

/** Pages of the memory: descriptors, and two buffers. */
export function startNic({ hardware }: PciDevice, memory: DriverMemory): void {
  if (hardware.kind !== 'nic') return
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset)
  memory.bytes.fill(0)
  for (let n = 0; n < BUFFERS; n++) {
    const page = memory.iovaPage + 1
    view.setUint32(16 * n, ((page * PAGE) % 2 ** 32) + n * (PAGE / 2), true)
    view.setUint32(16 * n + 4, Math.floor(page / 2 ** 20), true)
  }
  ring(hardware, RING.baseLow, (memory.iovaPage * PAGE) % 2 ** 32)
  ring(hardware, RING.baseHigh, Math.floor(memory.iovaPage / 2 ** 20))
  ring(hardware, RING.length, DESCRIPTORS * 16)
  ring(hardware, RING.head, 0)
  ring(hardware, RING.tail, BUFFERS)
  hardware.writeBar(0, REG.receiveControl, 4, RECEIVE)
}

export function stopNic({ hardware }: PciDevice): void {
  if (hardware.kind !== 'nic') return
  hardware.writeBar(0, REG.receiveControl, 4, 0)
  hardware.writeBar(0, REG.transmitControl, 4, 0)
}

function ring(hardware: HardwareFunction, register: number, value: number): void {
  hardware.writeBar(0, REG.ring + register, 4, value)
}
