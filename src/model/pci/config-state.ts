/**
 * Saving registers before a reset or a power-down, and writing them back: pci_save_state and
 * pci_restore_state of drivers/pci/pci.c. Registers that enable others come last, the command register
 * last of all.
 */
import { CAPABILITY, EXTENDED_CAPABILITY } from '../../pci/config-facts.ts'
import type { ConfigSpace } from '../hardware/config-space.ts'
import { enableAcs } from './acs-enable.ts'
import type { PciDevice, SavedRegisters } from './pci-device.ts'
import type { PciState } from './pci-state.ts'

type Register = readonly [offset: number, size: 1 | 2 | 4]

/** Device, link, slot and root control; device, link and slot control 2. */
const EXPRESS_CONTROLS = [0x08, 0x10, 0x18, 0x1c, 0x28, 0x30, 0x38]
const MSI = 0x05
const MSIX = 0x11
const MSIX_ENABLE = 0x8000
const LATENCY_TOLERANCE = 0x18
const PASID = 0x1b
const PAGE_REQUESTS = 0x13
const ATS = 0x0f

/** Notes the registers; also what pci_store_saved_state keeps for VFIO. */
export function saveState(device: PciDevice): void {
  const { config } = device.hardware
  const saved = registersOf(config).map(
    ([offset, size]) => [offset, size, config.read(offset, size)] as const,
  )
  device.saved = saved
}

/** Writes the registers back, if they were saved; then ACS as at boot. */
export function restoreState(state: PciState, device: PciDevice): void {
  const { saved } = device
  if (saved === null) return
  writeBack(device.hardware.config, saved)
  enableAcs(state, device)
  device.saved = null
}

function writeBack(config: ConfigSpace, saved: SavedRegisters): void {
  for (const [offset, size, value] of saved) {
    if (config.read(offset, size) !== value) config.write(offset, size, value)
  }
}

/** In the order of writing back. */
function registersOf(config: ConfigSpace): readonly Register[] {
  const registers: Register[] = []
  const extended = (id: number, ...offsets: readonly Register[]): void => {
    const at = config.extendedCapability(id)
    if (at !== 0) for (const [offset, size] of offsets) registers.push([at + offset, size])
  }
  extended(LATENCY_TOLERANCE, [4, 4])
  const express = config.capability(CAPABILITY.pciExpress)
  if (express !== 0) {
    for (const offset of EXPRESS_CONTROLS) registers.push([express + offset, 2])
  }
  extended(PASID, [6, 2])
  extended(PAGE_REQUESTS, [0x0c, 4], [4, 2])
  extended(ATS, [6, 2])
  // The header from its end: base addresses and windows before the command register.
  for (let offset = 0x3c; offset >= 0; offset -= 4) registers.push([offset, 4])
  const msi = config.capability(MSI)
  if (msi !== 0) {
    for (const offset of [0x14, 0x10, 0x0c, 0x08, 0x04]) registers.push([msi + offset, 4])
    registers.push([msi + 2, 2])
  }
  const msix = config.capability(MSIX)
  if (msix !== 0) registers.push([msix + 2, 2])
  // System page size, base addresses and number of virtual functions, then the switch.
  const bars: Register[] = [0x24, 0x28, 0x2c, 0x30, 0x34, 0x38].map((offset) => [offset, 4])
  extended(EXTENDED_CAPABILITY.sriov, [0x20, 4], ...bars, [0x10, 2], [0x08, 2])
  return registers
}

/** The MSI-X table, which a reset clears; pci_restore_msix_state writes it again from the descriptors. */
export function saveVectors(device: PciDevice): (() => void) | null {
  const { config } = device.hardware
  const msix = config.capability(MSIX)
  if (msix === 0 || (config.read(msix + 2, 2) & MSIX_ENABLE) === 0) return null
  const table = config.read(msix + 4, 4)
  const bar = table & 7
  const start = (table & ~7) >>> 0
  const words = 4 * ((config.read(msix + 2, 2) & 0x7ff) + 1)
  const values: number[] = []
  for (let n = 0; n < words; n++) values.push(device.hardware.readBar(bar, start + 4 * n, 4))
  return () => {
    for (const [n, value] of values.entries()) {
      device.hardware.writeBar(bar, start + 4 * n, 4, value)
    }
  }
}
