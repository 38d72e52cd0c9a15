/**
 * Resetting functions and buses (drivers/pci/pci.c). The kernel keeps what it had programmed: registers
 * are saved before and written back after, and a driver may not notice more than the interruption.
 *
 *     lock -> D0, save, disable -> first method that works -> restore -> unlock
 */
import { CAPABILITY } from '../../pci/config-facts.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import { restoreState, saveState, saveVectors } from './config-state.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'
import type { PciState } from './pci-state.ts'
import { setPowerState } from './power.ts'
import { type ResetMethod, RESET_METHODS, supportsReset } from './reset-methods.ts'
import { hasResetFlag, specificReset } from './reset-quirks.ts'
import { facesDown } from './setup-device.ts'

const COMMAND = 0x04
const INTX_DISABLE = 0x400
const INITIATE_FLR = 0x8000
const BRIDGE_CONTROL = 0x3e
const SECONDARY_BUS_RESET = 0x40
const LINK_CAPABILITIES = 0x0c
const LINK_ACTIVE_REPORTING = 1 << 20
const LINK_STATUS = 0x12
const LINK_ACTIVE = 1 << 13
const SPEED_5_GT = 2

/**
 * pci_reset_function(): waits for the device's lock, then resets.
 * @throws Errno ENOTTY when no method works
 */
export function* resetFunction(state: PciState, device: PciDevice): Task<void> {
  if (device.resetMethods.length === 0) throw new Errno('ENOTTY', `${device.name} cannot be reset`)
  yield* device.lock.acquire()
  try {
    resetLocked(state, device)
  } finally {
    device.lock.release()
  }
}

/**
 * pci_try_reset_function(), for users of the device.
 * @throws Errno ENOTTY, EAGAIN when somebody holds the lock
 */
export function tryResetFunction(state: PciState, device: PciDevice): void {
  if (device.resetMethods.length === 0) throw new Errno('ENOTTY', `${device.name} cannot be reset`)
  if (!device.lock.tryAcquire()) throw new Errno('EAGAIN', `${device.name} is locked`)
  try {
    resetLocked(state, device)
  } finally {
    device.lock.release()
  }
}

/**
 * pci_reset_function_locked(): the caller holds the device's lock.
 * @throws Errno ENOTTY when no method works
 */
export function resetLocked(state: PciState, device: PciDevice): void {
  if (device.resetMethods.length === 0) throw new Errno('ENOTTY', `${device.name} cannot be reset`)
  const restore = saveAndDisable(state, device)
  try {
    applyFirstMethod(state, device)
  } finally {
    restore()
  }
}

/** __pci_reset_function_locked() */
function applyFirstMethod(state: PciState, device: PciDevice): void {
  for (const name of device.resetMethods) {
    const method = RESET_METHODS.find((known) => known === name)
    if (method === undefined || !supportsReset(state, device, method)) continue
    try {
      applyMethod(device, method)
      return
    } catch (error) {
      if (!(error instanceof Errno) || error.code !== 'ENOTTY') throw error
    }
  }
  throw new Errno('ENOTTY', `no reset method of ${device.name} works now`)
}

/** pci_dev_save_and_disable(). @returns what writes it all back */
function saveAndDisable(state: PciState, device: PciDevice): () => void {
  setPowerState(device, 'D0')
  saveState(device)
  const restoreVectors = saveVectors(device)
  device.hardware.config.write(COMMAND, 2, INTX_DISABLE)
  return () => {
    restoreState(state, device)
    restoreVectors?.()
  }
}

function applyMethod(device: PciDevice, method: ResetMethod): void {
  switch (method) {
    case 'device_specific':
      if (specificReset(device, true) === 'flr') functionLevelReset(device)
      else device.hardware.config.reset('flr')
      break
    case 'acpi':
      // Firmware does it; what it does is a reset of the function alone.
      device.hardware.config.reset('flr')
      break
    case 'flr':
      functionLevelReset(device)
      break
    case 'af_flr':
      advancedReset(device)
      break
    case 'pm':
      setPowerState(device, 'D3hot')
      setPowerState(device, 'D0')
      break
    case 'bus':
      if (device.pciBus.bridge !== null) resetSecondary(device.pciBus.bridge)
      break
  }
}

function functionLevelReset({ hardware: { config } }: PciDevice): void {
  const control = config.capability(CAPABILITY.pciExpress) + 8
  config.write(control, 2, config.read(control, 2) | INITIATE_FLR)
}

function advancedReset({ hardware: { config } }: PciDevice): void {
  config.write(config.capability(CAPABILITY.advancedFeatures) + 4, 1, 1)
}

/**
 * pci_bridge_secondary_bus_reset(), with the wait for the link behind a fast port. Nobody waits for devices without power
 * management: only that gives a device a time that it takes to come back (pci_bus_max_d3cold_delay).
 * @throws Errno ENOTTY the link did not come back, or never said that it was there (QEMU's ports)
 */
function resetSecondary({ hardware: { config }, pcieType, subordinate }: PciDevice): void {
  const control = config.read(BRIDGE_CONTROL, 2)
  config.write(BRIDGE_CONTROL, 2, control | SECONDARY_BUS_RESET)
  config.write(BRIDGE_CONTROL, 2, control)
  const isWaitedFor = (subordinate?.devices ?? []).some(
    ({ hardware }) => hardware.config.capability(CAPABILITY.powerManagement) !== 0,
  )
  if (!facesDown(pcieType) || !isWaitedFor) return
  const express = config.capability(CAPABILITY.pciExpress)
  const link = config.read(express + LINK_CAPABILITIES, 4)
  const reports = (link & LINK_ACTIVE_REPORTING) !== 0
  const isActive = (config.read(express + LINK_STATUS, 2) & LINK_ACTIVE) !== 0
  if ((link & 0xf) > SPEED_5_GT && reports && !isActive) throw new Errno('ENOTTY', 'link is down')
}

/**
 * What a hot reset of the function's bus reaches: all functions of the bus and of the buses below.
 * @returns null when the bus cannot be reset alone (pci_probe_reset_bus): a root bus, or a device that
 *   does not survive it
 */
export function hotResetScope(device: PciDevice): readonly PciDevice[] | null {
  const { bridge } = device.pciBus
  if (bridge === null) return null
  const reached = functionsBelow(device.pciBus)
  return reached.some((fn) => hasResetFlag(fn, 'no-bus')) ? null : reached
}

function functionsBelow(bus: PciBus): readonly PciDevice[] {
  return bus.devices.flatMap((device) =>
    device.subordinate === null ? [device] : [device, ...functionsBelow(device.subordinate)],
  )
}

/**
 * pci_reset_bus(): resets everything hotResetScope names, keeping registers.
 * @throws Errno ENOTTY when the bus cannot be reset, EAGAIN when the lock of one of them is held
 */
export function resetBus(state: PciState, device: PciDevice): void {
  const reached = hotResetScope(device)
  const { bridge } = device.pciBus
  if (reached === null || bridge === null) {
    throw new Errno('ENOTTY', `the bus of ${device.name} cannot be reset`)
  }
  const locked: PciDevice[] = []
  try {
    for (const fn of reached) {
      if (!fn.lock.tryAcquire()) throw new Errno('EAGAIN', `${fn.name} is locked`)
      locked.push(fn)
    }
    const restores = reached.map((fn) => saveAndDisable(state, fn))
    try {
      resetSecondary(bridge)
    } finally {
      for (const restore of restores) restore()
    }
  } finally {
    for (const fn of locked) fn.lock.release()
  }
}
