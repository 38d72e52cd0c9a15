/**
 * Power states and enabling of functions: pci_enable_device, pci_set_master, pci_set_power_state of
 * drivers/pci/pci.c. Nothing enables a function but a driver that wants it (or a write to `enable`);
 * enabling one enables the bridges above it first.
 */
import { Errno } from '../errno.ts'
import type { PciDevice, PciPowerState } from './pci-device.ts'

const COMMAND = 0x04
const IO = 0x1
const MEMORY = 0x2
const MASTER = 0x4
const INTX_DISABLE = 0x400
const POWER_MANAGEMENT = 0x01

/** States with their numbers in the power management register. */
const STATE_NUMBER = { D0: 0, D1: 1, D2: 2, D3hot: 3 } as const

/** pci_enable_device(): counts; the first call powers the function up and lets it decode its BARs. */
export function enableDevice(device: PciDevice): void {
  device.enableCount += 1
  if (device.enableCount > 1) return
  if (device.pciBus.bridge !== null) enableBridge(device.pciBus.bridge)
  setPowerState(device, 'D0')
  const { bars, config } = device.hardware
  let bits = device.headerType === 1 ? IO | MEMORY : 0
  for (const { kind } of bars) bits |= kind === 'io' ? IO : kind === 'rom' ? 0 : MEMORY
  setCommand(device, bits, 0)
  // A function with a pin gets its legacy interrupt back.
  const hasMessages = isMessaging(device)
  if (config.read(0x3d, 1) !== 0 && !hasMessages) setCommand(device, 0, INTX_DISABLE)
}

/** pci_enable_bridge() */
function enableBridge(bridge: PciDevice): void {
  if (bridge.enableCount === 0) {
    enableDevice(bridge)
  } else if (bridge.pciBus.bridge !== null) enableBridge(bridge.pciBus.bridge)
  setMaster(bridge)
}

/** pci_disable_device(): the last call stops DMA; decoding goes on. */
export function disableDevice(device: PciDevice): void {
  device.enableCount -= 1
  if (device.enableCount === 0) setCommand(device, 0, MASTER)
}

/** pci_set_master(): the function may do DMA. */
export function setMaster(device: PciDevice): void {
  setCommand(device, MASTER, 0)
}

/** pci_clear_master() */
export function clearMaster(device: PciDevice): void {
  setCommand(device, 0, MASTER)
}

/** pci_intx(): whether the function may assert its INTx pin. */
export function enablePin(device: PciDevice, enabled: boolean): void {
  setCommand(device, enabled ? 0 : INTX_DISABLE, enabled ? INTX_DISABLE : 0)
}

function setCommand({ hardware: { config } }: PciDevice, set: number, clear: number): void {
  const command = config.read(COMMAND, 2)
  const wanted = (command | set) & ~clear
  if (wanted !== command) config.write(COMMAND, 2, wanted)
}

function isMessaging({ hardware: { config } }: PciDevice): boolean {
  const msi = config.capability(0x05)
  if (msi !== 0 && (config.read(msi + 2, 2) & 1) !== 0) return true
  const msix = config.capability(0x11)
  return msix !== 0 && (config.read(msix + 2, 2) & 0x8000) !== 0
}

/**
 * pci_set_power_state(). A function without the power management capability is always in D0. Leaving
 * D3hot may reset the function: whoever sends it there saves its registers first.
 * @throws Errno EIO when the function does not have the state
 */
export function setPowerState(
  device: PciDevice,
  state: Exclude<PciPowerState, 'unknown' | 'D3cold'>,
): void {
  const { config } = device.hardware
  const offset = config.capability(POWER_MANAGEMENT)
  if (offset === 0) {
    if (state !== 'D0') throw new Errno('EIO', `${device.name} has no power management`)
    device.powerState = 'D0'
    return
  }
  const control = config.read(offset + 4, 2)
  config.write(offset + 4, 2, (control & ~0x3) | STATE_NUMBER[state])
  const reached = config.read(offset + 4, 2) & 0x3
  if (reached !== STATE_NUMBER[state]) throw new Errno('EIO', `${device.name} has no ${state}`)
  device.powerState = state
}
