/**
 * Taking functions out of the kernel: drivers/pci/remove.c. First every driver lets go, from the leaves
 * up (pci_stop_bus_device); then functions and buses disappear (pci_remove_bus_device). A driver whose
 * users do not let go makes the caller sleep, with the rescan/remove lock held.
 */
import { removeDevice } from '../driver-core/add-device.ts'
import { releaseDriver } from '../driver-core/bind.ts'
import { disableRuntimePower } from '../driver-core/runtime-power.ts'
import type { Task } from '../task.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'
import { busKey, type PciState } from './pci-state.ts'

/** pci_stop_and_remove_bus_device(): the caller holds the rescan/remove lock. */
export function* stopAndRemove(state: PciState, device: PciDevice): Task<void> {
  yield* stop(state, device)
  yield* remove(state, device)
}

/** From the end: virtual functions come after their physical function, and go before it. */
function* stop(state: PciState, device: PciDevice): Task<void> {
  for (const child of [...(device.subordinate?.devices ?? [])].reverse()) {
    yield* stop(state, child)
  }
  if (!device.added) return
  yield* releaseDriver(state.context, device)
  device.added = false
}

function* remove(state: PciState, device: PciDevice): Task<void> {
  const bus = device.subordinate
  if (bus !== null) {
    for (const child of [...bus.devices]) yield* remove(state, child)
    yield* removeBus(state, bus)
    device.subordinate = null
  }
  // Two ways of removing one function may meet here (pci_dev_test_and_set_removed).
  if (device.destroyed) return
  device.destroyed = true
  yield* removeDevice(state.context, device)
  device.pciBus.remove(device)
  state.byHardware.delete(device.hardware)
  state.addressSpace.release(device)
  disableRuntimePower(device.power)
}

/** pci_remove_bus() */
export function* removeBus(state: PciState, bus: PciBus): Task<void> {
  for (const child of [...bus.children]) yield* removeBus(state, child)
  const siblings = bus.parent?.children ?? []
  const index = siblings.indexOf(bus)
  if (index >= 0) siblings.splice(index, 1)
  state.buses.delete(busKey(bus.domain, bus.number))
  state.addressSpace.forget(bus)
  if (bus.classDevice !== null) yield* removeDevice(state.context, bus.classDevice)
}
