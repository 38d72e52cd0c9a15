/**
 * Offering functions to drivers: pci_bus_add_devices of drivers/pci/bus.c. Comes after scanning and
 * after addresses are assigned; until then nothing matches the function. So between its "add" uevent and
 * its first probe there is a window in which user space may write driver_override.
 */
import { atLeast } from '../../base/kernel-version.ts'
import { attachDevice } from '../driver-core/bind.ts'
import { errnoNumber } from '../driver-core/probe-failure.ts'
import { Errno } from '../errno.ts'
import { step, type Task } from '../task.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'

/** Every function of the bus and below that was not offered yet. */
export function* addDevices(state: PciState, bus: PciBus): Task<void> {
  for (const device of [...bus.devices]) if (!device.added) yield* addOne(state, device)
  for (const { added, subordinate } of [...bus.devices]) {
    if (added && subordinate !== null) yield* addDevices(state, subordinate)
  }
}

/**
 * pci_bus_add_device(). `drivers_autoprobe` is not asked before 6.19: PCI attached drivers by itself. A
 * refusal (a user owns the group) is told in the log up to 6.16.
 */
export function* addOne(state: PciState, device: PciDevice): Task<void> {
  const { context } = state
  if (device.destroyed) return
  yield* step(`offer ${device.name} to drivers`)
  device.matchable = true
  try {
    if (state.bus.autoprobe || !atLeast(context.version, 6, 19)) {
      yield* attachDevice(context, device)
    }
  } catch (error) {
    if (!(error instanceof Errno)) throw error
    if (error.code !== 'EPROBE_DEFER' && !atLeast(context.version, 6, 17)) {
      logDevice(state, device, `device attach failed (${String(-errnoNumber(error))})`)
    }
  }
  device.added = true
}
