/**
 * How every PCI driver of the model works (include/linux/pci.h, struct pci_driver): probe enables
 * the function, gets memory that the device may reach, and makes the devices that users see; remove
 * undoes all of that in reverse.
 *
 * The memory is what this project is about: it is mapped through the DMA API into the default
 * domain of the function's group, which all kernel drivers of the group share (the seed's dma_ops).
 */
import type { Attribute, Device } from '../driver-core/device.ts'
import type { DeviceId, Driver } from '../driver-core/driver.ts'
import { Errno } from '../errno.ts'
import type { CoherentMemory } from '../iommu/dma-api.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { disableDevice, enableDevice, setMaster } from '../pci/power.ts'
import { step, type Task } from '../task.ts'
import { addServices, removeServices, type Service, servicesOf } from './class-devices.ts'
import type { DeviceNames } from './device-names.ts'
import type { DriverServices } from './driver-services.ts'

export interface PciDriverPlan {
  readonly name: string
  /** Null = built in. */
  readonly module: string | null
  readonly ids: readonly DeviceId[]
  /** driver_managed_dma; absent = false. */
  readonly managesDma?: boolean
  /** False for drivers that never enable the function (pci_enable_device); absent = true. */
  readonly enables?: boolean
  /**
   * Pages of DMA memory that probe maps; 0 = the driver does no DMA and leaves bus mastering alone.
   */
  readonly pages: number
  /** Whether it sends messages without having memory of its own (pci_set_master); absent = no. */
  mastersBus?(device: PciDevice): boolean
  /** Says no, as probe functions do about functions that their table takes but they do not want. */
  refuse?(device: PciDevice): Errno | null
  /** What probe does once the function is enabled. */
  enabled?(device: PciDevice): void
  /** Class devices where the machine's description names none. */
  readonly services?: (names: DeviceNames) => readonly Service[]
  /** Puts the hardware to work with the memory. @throws Errno */
  start?(device: PciDevice, memory: DriverMemory): void
  /** Makes the hardware stop using it. */
  stop?(device: PciDevice): void
  /**
   * Makes virtual functions on request. "simple" leaves them alone when it goes
   * (pci_sriov_configure_simple), "owned" takes them along.
   */
  readonly sriov?: 'simple' | 'owned'
  readonly attributes?: readonly Attribute[]
}

/** A driver's pages, both as it and as its device see them. */
export interface DriverMemory extends CoherentMemory {
  /** The bytes, shared with the device. */
  readonly bytes: Uint8Array
}

/** dev_get_drvdata() of these drivers. */
interface Bound {
  readonly memory: DriverMemory | null
  readonly devices: readonly Device[]
}

export function pciDriver(
  plan: PciDriverPlan,
  services: DriverServices,
  names: DeviceNames,
): Driver {
  const driver: Driver = {
    name: plan.name,
    bus: services.bus,
    module: plan.module,
    managesDma: plan.managesDma ?? false,
    isVfio: false,
    ids: plan.ids,
    dynamicIds: [],
    takesIds: true,
    *probe(device) {
      device.driverData = yield* probe(plan, services, names, pciDevice(device))
    },
    *remove(device) {
      const bound = device.driverData as Bound
      if (plan.sriov === 'owned') yield* sriov(device, 0)
      yield* removeServices(services, bound.devices)
      forget(names, bound.devices.map(serviceOf))
      release(plan, services, pciDevice(device), bound.memory)
    },
    ...(plan.attributes === undefined ? {} : { attributes: plan.attributes }),
    ...(plan.sriov === undefined ? {} : { sriovConfigure: sriov }),
  }
  return driver

  /** pci_sriov_configure_simple() */
  function* sriov(device: Device, count: number): Task<void> {
    const pci = pciDevice(device)
    if (count === 0) yield* services.disableSriov(pci)
    else yield* services.enableSriov(pci, count)
  }
}

function* probe(
  plan: PciDriverPlan,
  services: DriverServices,
  names: DeviceNames,
  device: PciDevice,
): Task<Bound> {
  const refusal = plan.refuse?.(device) ?? null
  if (refusal !== null) throw refusal
  if (plan.enables !== false) enableDevice(device)
  let memory: DriverMemory | null = null
  let wanted: readonly Service[] = []
  try {
    if (plan.mastersBus?.(device) === true) setMaster(device)
    plan.enabled?.(device)
    memory = plan.pages === 0 ? null : allocate(plan, services, device)
    yield* step(`${plan.name} starts ${device.name}`)
    if (memory !== null) plan.start?.(device, memory)
    wanted = servicesOf(services, device, plan.services ?? (() => []), names)
    return { memory, devices: yield* addServices(services, device, wanted) }
  } catch (error) {
    forget(names, wanted)
    release(plan, services, device, memory)
    throw error
  }
}

function allocate(
  { pages }: PciDriverPlan,
  { dma, context }: DriverServices,
  device: PciDevice,
): DriverMemory {
  setMaster(device)
  const coherent = dma.allocateCoherent(device, pages)
  return { ...coherent, bytes: context.memory.bytes(coherent.physicalPage, pages) }
}

/** The device stops before its memory goes. */
function release(
  plan: PciDriverPlan,
  { dma }: DriverServices,
  device: PciDevice,
  memory: DriverMemory | null,
): void {
  plan.stop?.(device)
  if (plan.enables !== false) disableDevice(device)
  if (memory !== null) dma.freeCoherent(device, memory)
}

function serviceOf({ className, name }: Device): Service {
  return { class: className ?? '', name }
}

function forget(names: DeviceNames, services: readonly Service[]): void {
  for (const { class: className, name } of services) names.release(className, name)
}

function pciDevice(device: Device): PciDevice {
  if (!(device instanceof PciDevice)) throw new Errno('ENODEV', `${device.name} is no PCI function`)
  return device
}
