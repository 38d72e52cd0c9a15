/**
 * Which ways there are to reset a function: pci_reset_fn_methods and pci_init_reset_methods of
 * drivers/pci/pci.c. Each is asked when the function is found, before it is on its bus: the first
 * function of a device therefore has "bus" even when siblings come after it, and the reset itself then
 * fails with ENOTTY.
 */
import { CAPABILITY } from '../../pci/config-facts.ts'
import type { PciDevice } from './pci-device.ts'
import type { PciState } from './pci-state.ts'
import { hasResetFlag, specificReset } from './reset-quirks.ts'
import { hasHotPlugSlot } from './resources.ts'

/** In the kernel's order; "acpi" exists only where a real host's firmware said so. */
export const RESET_METHODS = ['device_specific', 'acpi', 'flr', 'af_flr', 'pm', 'bus'] as const
export type ResetMethod = (typeof RESET_METHODS)[number]

const POWER_MANAGEMENT = 0x01
const NO_SOFT_RESET = 0x08
const FUNCTION_LEVEL_RESET = 1 << 28

export function initResetMethods(state: PciState, device: PciDevice): void {
  device.resetMethods =
    state.options.resetMethods?.(device.name) ??
    RESET_METHODS.filter((method) => supportsReset(state, device, method))
}

/** The method's function called with PCI_RESET_PROBE. */
export function supportsReset(state: PciState, device: PciDevice, method: ResetMethod): boolean {
  switch (method) {
    case 'device_specific':
      return specificReset(device, hasExpressReset(device)) !== null
    case 'acpi':
      return state.options.resetMethods?.(device.name)?.includes('acpi') === true
    case 'flr':
      return hasExpressReset(device)
    case 'af_flr':
      return hasAdvancedReset(device)
    case 'pm':
      return hasPowerReset(device)
    case 'bus':
      return slotResets(state, device) || busResets(device)
  }
}

/** pcie_reset_flr() */
function hasExpressReset(device: PciDevice): boolean {
  if (hasResetFlag(device, 'no-flr')) return false
  const { config } = device.hardware
  const express = config.capability(CAPABILITY.pciExpress)
  return express !== 0 && (config.read(express + 4, 4) & FUNCTION_LEVEL_RESET) !== 0
}

/** pci_af_flr(): both bits, transactions pending and function level reset. */
function hasAdvancedReset(device: PciDevice): boolean {
  if (hasResetFlag(device, 'no-flr')) return false
  const { config } = device.hardware
  const advanced = config.capability(CAPABILITY.advancedFeatures)
  return advanced !== 0 && (config.read(advanced + 3, 1) & 0x03) === 0x03
}

/** pci_pm_reset(): D3hot and back resets, unless the function says that it does not. */
function hasPowerReset(device: PciDevice): boolean {
  if (hasResetFlag(device, 'no-pm')) return false
  const { config } = device.hardware
  const power = config.capability(POWER_MANAGEMENT)
  return power !== 0 && (config.read(power + 4, 2) & NO_SOFT_RESET) === 0
}

/** pci_dev_reset_slot_function(): a hot-plug slot that holds nothing but this function. */
function slotResets({ options }: PciState, device: PciDevice): boolean {
  // acpiphp's slots know no reset.
  if (options.firmwareHotPlug === true) return false
  const port = device.pciBus.bridge
  if (device.multifunction || device.subordinate !== null || port === null) return false
  // The slot exists once the port's driver has found it.
  return port.driver !== null && hasHotPlugSlot(port) && !hasResetFlag(device, 'no-bus')
}

/** pci_parent_bus_reset(): nothing else on the bus, and the bus is not a root bus. */
function busResets(device: PciDevice): boolean {
  const { pciBus, subordinate } = device
  if (pciBus.bridge === null || subordinate !== null || hasResetFlag(device, 'no-bus')) return false
  return pciBus.devices.every((other) => other === device)
}
