/**
 * What the kernel does when something is plugged or pulled: pciehp_configure_device and
 * pciehp_unconfigure_device (drivers/pci/hotplug/pciehp_pci.c), pci_rescan_bus, and the `remove` file.
 * All of it under the one lock: a removal that waits for a user of its device stops every other.
 */
import { resume, suspendIfIdle } from '../driver-core/runtime-power.ts'
import type { Task } from '../task.ts'
import { addDevices } from './add-devices.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'
import type { PciState } from './pci-state.ts'
import { stopAndRemove } from './remove.ts'
import { addHotBridge, scanBus, scanSlot } from './scan.ts'
import { facesDown } from './setup-device.ts'

const COMMAND = 0x04
const MASTER_AND_SERR = 0x104
const INTX_DISABLE = 0x400
const SLOTS = 32

/** Something appeared in a slot of the bus. Does nothing when the kernel knows what is there. */
export function* hotPlugged(state: PciState, bus: PciBus, slot: number): Task<void> {
  // pciehp keeps its port awake (pciehp_enable_slot); shpchp and acpiphp's first look do not care.
  const port = bus.bridge !== null && facesDown(bus.bridge.pcieType) ? bus.bridge : null
  if (port !== null) resume(port.power)
  try {
    yield* configureSlot(state, bus, slot)
  } finally {
    if (port !== null) suspendIfIdle(port.power)
  }
}

function* configureSlot(state: PciState, bus: PciBus, slot: number): Task<void> {
  yield* state.rescanRemoveLock.with(function* configure(): Task<void> {
    const before = new Set(bus.devices)
    if (bus.function(slot << 3) !== undefined) return
    if ((yield* scanSlot(state, bus, slot << 3)) === 0) return
    for (const device of [...bus.devices]) {
      if (!before.has(device) && isBridge(device)) yield* addHotBridge(state, device)
    }
    if (state.options.firmwareHotPlug === true) return yield* checkBridge(state, bus)
    state.addressSpace.assign(bus)
    yield* addDevices(state, bus)
  })
}

/**
 * acpiphp_check_bridge(): firmware says that something changed, and the kernel looks into every slot of
 * the bus. What was taken from the kernel by a write to `remove` comes back with it.
 */
function* checkBridge(state: PciState, bus: PciBus): Task<void> {
  for (let slot = 0; slot < SLOTS; slot++) {
    if (bus.hardware?.functions.has(slot << 3) !== true) continue
    yield* scanSlot(state, bus, slot << 3)
    state.addressSpace.assign(bus)
    assumePowered(bus)
    yield* addDevices(state, bus)
  }
}

/** acpiphp's enable_slot(): what firmware announces has power. */
function assumePowered(bus: PciBus): void {
  for (const device of bus.devices) if (!device.added) device.powerState = 'D0'
}

function isBridge({ headerType }: PciDevice): boolean {
  return headerType === 1 || headerType === 2
}

/**
 * The device's slot is to be emptied: all its functions go, from the last to the first.
 * @param present the device still answers (a request by button), so its DMA is switched off
 */
export function* hotUnplugged(state: PciState, device: PciDevice, present: boolean): Task<void> {
  const { pciBus, devfn } = device
  // All that is on a link is one device; elsewhere it is what shares the slot.
  const whole = pciBus.bridge !== null && facesDown(pciBus.bridge.pcieType)
  yield* state.rescanRemoveLock.with(function* unconfigure(): Task<void> {
    for (const fn of [...pciBus.devices].reverse()) {
      if (!whole && fn.devfn >> 3 !== devfn >> 3) continue
      yield* stopAndRemove(state, fn)
      if (!present) continue
      const { config } = fn.hardware
      const command = config.read(COMMAND, 2)
      config.write(COMMAND, 2, (command & ~MASTER_AND_SERR) | INTX_DISABLE)
    }
  })
}

/** pci_rescan_bus(); the caller holds the lock. */
export function* rescan(state: PciState, bus: PciBus): Task<void> {
  yield* scanBus(state, bus)
  state.addressSpace.assign(bus)
  yield* addDevices(state, bus)
}

/** pci_stop_and_remove_bus_device_locked() */
export function* removeLocked(state: PciState, device: PciDevice): Task<void> {
  yield* state.rescanRemoveLock.with(() => stopAndRemove(state, device))
}
