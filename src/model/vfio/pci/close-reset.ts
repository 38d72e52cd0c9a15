/**
 * What the last close of a device does to its registers: whatever a user left behind, the next one, or a
 * kernel driver, finds the device as it was before (vfio_pci_core_disable, vfio_pci_dev_set_try_reset).
 */
import { resume, suspendIfIdle } from '../../driver-core/runtime-power.ts'
import { Errno } from '../../errno.ts'
import { restoreState } from '../../pci/config-state.ts'
import type { PciDevice, SavedRegisters } from '../../pci/pci-device.ts'
import type { PciState } from '../../pci/pci-state.ts'
import { enablePin } from '../../pci/power.ts'
import { hotResetScope, resetBus, resetLocked } from '../../pci/reset.ts'

/**
 * Resets the function if there is a way and nobody holds its lock, then writes the registers back.
 * @param resets it could be reset when it was opened @returns whether it was reset
 */
export function resetAndRestore(
  pci: PciState,
  device: PciDevice,
  resets: boolean,
  saved: SavedRegisters | null,
): boolean {
  let done = false
  enablePin(device, false)
  if (resets && device.lock.tryAcquire()) {
    try {
      resetLocked(pci, device)
      done = true
    } catch (error) {
      if (!(error instanceof Errno)) throw error
    } finally {
      device.lock.release()
    }
  }
  device.saved = saved
  restoreState(pci, device)
  return done
}

/** A member of the set of functions that one bus reset reaches. */
interface Resettable {
  readonly isOpen: boolean
  needsReset: boolean
}

/** For functions that could not be reset alone: the whole bus, once nobody has anything on it open. */
export function resetBusIfIdle(
  pci: PciState,
  device: PciDevice,
  functions: ReadonlyMap<PciDevice, Resettable>,
): void {
  const reached = device.isVirtual ? null : hotResetScope(device)
  if (reached === null) return
  const members = reached.map((fn) => functions.get(fn)).filter((fn) => fn !== undefined)
  if (members.length < reached.length || members.some(({ isOpen }) => isOpen)) return
  if (!members.some(({ needsReset }) => needsReset)) return
  try {
    resetBusAwake(pci, device, reached)
    for (const member of members) member.needsReset = false
  } catch (error) {
    // Somebody holds a lock: the next one who closes tries again.
    if (!(error instanceof Errno)) throw error
  }
}

/** Resets a bus whose sleeping functions are woken for it (vfio_pci_dev_set_pm_runtime_get). */
export function resetBusAwake(
  pci: PciState,
  device: PciDevice,
  reached: readonly PciDevice[],
): void {
  for (const { power } of reached) resume(power)
  try {
    resetBus(pci, device)
  } finally {
    for (const { power } of reached) suspendIfIdle(power)
  }
}
