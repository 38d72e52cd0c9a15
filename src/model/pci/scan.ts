/**
 * Finding functions: drivers/pci/probe.c. A bus is scanned slot by slot; a function is registered as
 * soon as it is found, but drivers are offered only later (add-devices.ts), when all have addresses.
 *
 * Bus numbers are those in the registers of the bridges. A bridge that nobody programmed gets the next
 * free number of the window above it.
 */
import { addDevice } from '../driver-core/add-device.ts'
import { Device } from '../driver-core/device.ts'
import { resume, suspendIfIdle } from '../driver-core/runtime-power.ts'
import { formatBus } from '../../pci/address.ts'
import type { Task } from '../task.ts'
import { PciBus } from './pci-bus.ts'
import { PciDevice } from './pci-device.ts'
import { busKey, logDevice, type PciState } from './pci-state.ts'
import { facesDown, setUpDevice } from './setup-device.ts'

const SLOTS = 32
const FUNCTIONS = 8
const NO_DEVICE = 0xffff
const ARI = 0x0e

/** pci_scan_child_bus(): everything on the bus, then behind its bridges. @returns the highest bus number */
export function* scanBus(state: PciState, bus: PciBus): Task<number> {
  for (let slot = 0; slot < SLOTS; slot++) yield* scanSlot(state, bus, slot << 3)
  let max = Math.max(bus.number, lastVirtualBus(bus))
  const bridges = bus.devices.filter(isBridge)
  for (const bridge of bridges) max = yield* scanBridge(state, bridge, max, false)
  for (const bridge of bridges) max = yield* scanBridge(state, bridge, max, true)
  return max
}

/** pci_iov_bus_range(): numbers that virtual functions would take. */
function lastVirtualBus(bus: PciBus): number {
  let last = 0
  for (const { sriov, hardware, devfn } of bus.devices) {
    if (sriov === null) continue
    const read = (offset: number): number => hardware.config.read(sriov.capability + offset, 2)
    const id = devfn + read(0x14) + read(0x16) * (sriov.totalVfs - 1)
    last = Math.max(last, Math.min(bus.number + (id >> 8), bus.lastNumber))
  }
  return last
}

function isBridge({ headerType }: PciDevice): boolean {
  return headerType === 1 || headerType === 2
}

/**
 * pci_scan_slot(). The multifunction flag of functions above 0 is set when they have been registered
 * already: whoever looked at them while they were added saw the header's bit alone.
 * @returns functions found that were not known
 */
export function* scanSlot(state: PciState, bus: PciBus, first: number): Task<number> {
  // A link leads to device 0 only.
  if (first > 0 && bus.bridge !== null && facesDown(bus.bridge.pcieType)) return 0
  let found = 0
  let fn = 0
  while (fn >= 0) {
    const device = yield* scanFunction(state, bus, first + fn)
    if (device !== null) {
      if (!device.added) found += 1
      if (fn > 0) device.multifunction = true
    } else if (fn === 0) break
    fn = nextFunction(bus, device, fn)
  }
  return found
}

/** next_fn(). @returns -1 when there is none */
function nextFunction(bus: PciBus, device: PciDevice | null, fn: number): number {
  if (bus.bridge?.ariForwarding === true) {
    // Functions of an ARI device name the next one, and there may be 256.
    if (device === null) return -1
    const { config } = device.hardware
    const ari = config.extendedCapability(ARI)
    const next = ari === 0 ? 0 : config.read(ari + 5, 1)
    return next > fn ? next : -1
  }
  if (fn + 1 >= FUNCTIONS || device?.multifunction === false) return -1
  return fn + 1
}

/** pci_scan_single_device() */
function* scanFunction(state: PciState, bus: PciBus, devfn: number): Task<PciDevice | null> {
  const known = bus.function(devfn)
  if (known !== undefined) return known
  const hardware = bus.hardware?.functions.get(devfn)
  if (hardware === undefined || hardware.config.read(0x00, 2) === NO_DEVICE) return null
  const device = new PciDevice({
    at: { domain: bus.domain, bus: bus.number, device: devfn >> 3, function: devfn & 7 },
    bus: state.bus,
    parent: parentOf(state, bus),
    pciBus: bus,
    hardware,
  })
  yield* registerDevice(state, device)
  return device
}

/** The device whose directory holds what is on the bus. */
function parentOf(state: PciState, bus: PciBus): Device {
  if (bus.bridge !== null) return bus.bridge
  const root = state.hostBridges.get(bus)
  if (root === undefined) throw new Error(`bus ${formatBus(bus.domain, bus.number)} has no host`)
  return root
}

/** pci_device_add(): found out about, put on its bus and registered, but not offered to drivers yet. */
export function* registerDevice(state: PciState, device: PciDevice): Task<void> {
  state.byHardware.set(device.hardware, device)
  device.attributes.push(state.deviceAttributes)
  setUpDevice(state, device)
  device.pciBus.add(device)
  yield* addDevice(state.context, device)
}

/** pci_scan_bridge(): behind a bridge that sleeps nothing answers, so it is kept awake meanwhile. */
function* scanBridge(
  state: PciState,
  bridge: PciDevice,
  max: number,
  assigning: boolean,
): Task<number> {
  resume(bridge.power)
  try {
    return yield* scanBehind(state, bridge, max, assigning)
  } finally {
    suspendIfIdle(bridge.power)
  }
}

/** Numbers that firmware left first, then (`assigning`) numbers for the others. */
function* scanBehind(
  state: PciState,
  bridge: PciDevice,
  max: number,
  assigning: boolean,
): Task<number> {
  const { config } = bridge.hardware
  const primary = config.read(0x18, 1)
  const secondary = config.read(0x19, 1)
  const subordinate = config.read(0x1a, 1)
  const parent = bridge.pciBus
  const configured = (secondary !== 0 || subordinate !== 0) && bridge.subordinate === null
  const invalid =
    (primary !== parent.number && primary !== 0) ||
    secondary <= parent.number ||
    secondary > subordinate
  if (!assigning && configured && invalid) {
    const range = formatRange(secondary, subordinate)
    logDevice(state, bridge, `bridge configuration invalid (${range}), reconfiguring`)
  }
  if (bridge.subordinate !== null || (configured && !invalid)) {
    if (assigning) return max
    return yield* scanConfigured(state, bridge, Math.max(max, subordinate))
  }
  return assigning ? yield* assignNumbers(state, bridge, max + 1) : max
}

function* scanConfigured(state: PciState, bridge: PciDevice, max: number): Task<number> {
  const { config } = bridge.hardware
  let bus = bridge.subordinate
  if (bus === null) {
    bus = yield* addBus(state, bridge.pciBus, bridge, config.read(0x19, 1))
    bus.lastNumber = config.read(0x1a, 1)
  }
  yield* scanBus(state, bus)
  return max
}

/** Programs a bridge with the first free number from `wanted` on. @returns the highest number in use */
function* assignNumbers(state: PciState, bridge: PciDevice, wanted: number): Task<number> {
  const parent = bridge.pciBus
  let number = wanted
  while (number <= parent.lastNumber && state.buses.has(busKey(parent.domain, number))) number += 1
  if (number > parent.lastNumber) {
    logDevice(state, bridge, 'No bus number available for hot-added bridge')
    return wanted - 1
  }
  const { config } = bridge.hardware
  config.write(0x18, 1, parent.number)
  config.write(0x19, 1, number)
  // While what is below is numbered the bridge forwards to all of the window above.
  config.write(0x1a, 1, parent.lastNumber)
  const bus = yield* addBus(state, parent, bridge, number)
  bus.lastNumber = parent.lastNumber
  const max = yield* scanBus(state, bus)
  bus.lastNumber = max
  config.write(0x1a, 1, max)
  return max
}

/** pci_hp_add_bridge(): a bridge that came later looks for a number from the start of the window. */
export function* addHotBridge(state: PciState, bridge: PciDevice): Task<void> {
  const max = yield* scanBridge(state, bridge, bridge.pciBus.number, false)
  yield* scanBridge(state, bridge, max, true)
}

/** pci_add_new_bus(): the bus and its device of class pci_bus. */
export function* addBus(
  state: PciState,
  parent: PciBus | null,
  bridge: PciDevice | null,
  number: number,
): Task<PciBus> {
  const bus = new PciBus(bridge?.at.domain ?? parent?.domain ?? 0, number, parent, bridge)
  if (bridge !== null) {
    bus.hardware = state.slots.below(bridge.hardware)
    bridge.subordinate = bus
    // Whether drivers may use message interrupts is handed down to new buses (bus_flags).
    if (parent?.bridge?.noMsi === true) bridge.noMsi = true
  }
  parent?.children.push(bus)
  state.buses.set(busKey(bus.domain, number), bus)
  yield* registerBus(state, bus, bridge ?? (parent === null ? null : parentOf(state, parent)))
  return bus
}

export function* registerBus(state: PciState, bus: PciBus, above: Device | null): Task<void> {
  bus.classDevice = new Device({
    name: formatBus(bus.domain, bus.number),
    parent: above,
    bus: null,
    className: 'pci_bus',
    subdirectory: 'pci_bus',
    attributes: state.busAttributes(bus),
  })
  yield* addDevice(state.context, bus.classDevice)
}

function formatRange(first: number, last: number): string {
  return `[bus ${first.toString(16).padStart(2, '0')}-${last.toString(16).padStart(2, '0')}]`
}
