/**
 * The PCI subsystem of the model kernel: the bus type, the buses, and the ways in which functions come
 * and go. What each step does stands in the files named after the kernel's functions:
 *
 *     scan.ts -> setup-device.ts -> (driver core: add) -> resources.ts -> add-devices.ts -> drivers
 *     remove.ts, hot-plug.ts, sriov.ts, reset.ts
 *
 * Driver core and IOMMU core meet here: before a probe the bus asks for DMA ownership, which a user who
 * owns the group does not grant (pci_dma_configure).
 */
import { formatBus } from '../../pci/address.ts'
import type { KernelContext } from '../context.ts'
import { addDevice } from '../driver-core/add-device.ts'
import { Bus, type BusEvent } from '../driver-core/bus.ts'
import { type Attribute, Device } from '../driver-core/device.ts'
import type { Driver } from '../driver-core/driver.ts'
import { resume, suspendIfIdle } from '../driver-core/runtime-power.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { HardwareBus, Slots } from '../hardware/slots.ts'
import { Mutex, type Task } from '../task.ts'
import { addDevices } from './add-devices.ts'
import { busAttributes, rescanIfAsked } from './bus-attributes.ts'
import { hotPlugged, hotUnplugged, removeLocked, rescan } from './hot-plug.ts'
import { pciAttributes } from './pci-attributes.ts'
import { PciBus } from './pci-bus.ts'
import { PciDevice } from './pci-device.ts'
import { busMatches, driverFiles } from './pci-driver.ts'
import { busKey, type PciOptions, type PciState } from './pci-state.ts'
import { AddressSpace } from './resources.ts'
import { registerBus, scanBus } from './scan.ts'

const BUS_MAX = 255

export class PciSubsystem implements PciState {
  readonly context: KernelContext
  readonly slots: Slots
  readonly bus: Bus
  readonly options: PciOptions
  readonly rootBuses: PciBus[] = []
  readonly buses: Map<number, PciBus> = new Map()
  readonly hostBridges: Map<PciBus, Device> = new Map()
  readonly byHardware: Map<HardwareFunction, PciDevice> = new Map()
  readonly addressSpace: AddressSpace
  readonly rescanRemoveLock: Mutex = new Mutex('pci_rescan_remove_lock')
  readonly deviceAttributes: readonly Attribute<PciDevice>[]
  readonly busAttributes: (bus: PciBus) => readonly Attribute[]

  constructor(context: KernelContext, slots: Slots, options: PciOptions = {}) {
    this.context = context
    this.slots = slots
    this.options = options
    this.addressSpace = new AddressSpace(context)
    this.deviceAttributes = pciAttributes(this)
    this.busAttributes = (bus) => busAttributes(this, bus)
    this.bus = new Bus('pci', {
      match: (device, driver) => device instanceof PciDevice && busMatches(driver, device),
      configureDma: (device, driver) => {
        if (!driver.managesDma) options.dma?.useDefaultDomain(device)
      },
      cleanUpDma: (device, driver) => {
        if (!driver.managesDma) options.dma?.unuseDefaultDomain(device)
      },
    })
    this.bus.driverFiles = (driver: Driver) => driverFiles(context, driver)
    this.bus.files = {
      rescan: () => ({
        kind: 'file',
        mode: 0o200,
        write: (bytes) => rescanIfAsked(this, () => this.rootBuses, bytes),
      }),
    }
    this.bus.registerNotifier(trackDriver)
  }

  /** By address in full: "0000:01:00.0". */
  device(address: string): PciDevice | undefined {
    const device = this.bus.devices.get(address)
    return device instanceof PciDevice ? device : undefined
  }

  /** The bus that the kernel found on these wires. */
  busOf(wires: HardwareBus): PciBus | undefined {
    if (wires.bridge !== null) return this.byHardware.get(wires.bridge)?.subordinate ?? undefined
    return this.rootBuses.find(({ hardware }) => hardware === wires)
  }

  /** Boot: root bus after root bus is scanned, given addresses and offered to drivers. */
  *scan(): Task<void> {
    const roots = [...this.slots.roots.values()]
    // A hosted domain appears when the driver of its host binds, so after the buses of firmware.
    const inOrder = [
      ...roots.filter(({ root }) => root?.host === null),
      ...roots.filter(({ root }) => root?.host !== null),
    ]
    for (const wires of inOrder) yield* this.#scanRoot(wires)
  }

  /** Writing 1 to the `rescan` file of a bus. */
  *rescanBus(bus: PciBus): Task<void> {
    yield* this.rescanRemoveLock.with(() => rescan(this, bus))
  }

  /** Writing 1 to `remove`: the function and all below it leave the kernel. May sleep. */
  *removeTree(device: PciDevice): Task<void> {
    yield* removeLocked(this, device)
  }

  /** Something was plugged into a slot (0 on a link) of the bus. */
  *hotPlugged(bus: PciBus, slot = 0): Task<void> {
    yield* hotPlugged(this, bus, slot)
  }

  /**
   * The device's slot is to be emptied, with all its functions. May sleep until users let go.
   * @param present false: it has been pulled already
   */
  *hotUnplugged(device: PciDevice, present = true): Task<void> {
    yield* hotUnplugged(this, device, present)
  }

  *#scanRoot(wires: HardwareBus): Task<void> {
    const { root } = wires
    if (root === null) return
    const { domain, number } = root
    const bus = new PciBus(domain, number, null, null)
    bus.hardware = wires
    bus.lastNumber = this.#lastNumber(domain, number)
    const name = `pci${formatBus(domain, number)}`
    const host = root.host === null ? null : (this.byHardware.get(root.host) ?? null)
    const bridge = new Device({ name, parent: host, bus: null })
    this.hostBridges.set(bus, bridge)
    this.buses.set(busKey(domain, number), bus)
    this.rootBuses.push(bus)
    yield* addDevice(this.context, bridge)
    yield* registerBus(this, bus, bridge)
    yield* scanBus(this, bus)
    this.addressSpace.survey(bus)
    yield* addDevices(this, bus)
  }

  /** The numbers of a root bus end where the next root of its domain begins. */
  #lastNumber(domain: number, number: number): number {
    let last = BUS_MAX
    for (const { root } of this.slots.roots.values()) {
      if (root === null || root.domain !== domain || root.number <= number) continue
      last = Math.min(last, root.number - 1)
    }
    return last
  }
}

/**
 * local_pci_probe() and pci_device_remove(): a bound function is awake unless its driver lets it sleep
 * (it then drops the reference taken here).
 */
function trackDriver(event: BusEvent, device: Device): void {
  if (!(device instanceof PciDevice)) return
  if (event === 'bind-driver') resume(device.power)
  if (event === 'unbound-driver' || event === 'driver-not-bound') {
    suspendIfIdle(device.power)
  }
}
