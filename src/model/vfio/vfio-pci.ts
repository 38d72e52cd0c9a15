/**
 * The vfio-pci driver (drivers/vfio/pci/vfio_pci.c). It takes no function by itself: only where an
 * administrator named it, by driver_override or by an id. It does no DMA for itself, so it may bind in a
 * group that a user owns.
 */
import type { KernelContext } from '../context.ts'
import type { Device } from '../driver-core/device.ts'
import type { DeviceId, Driver } from '../driver-core/driver.ts'
import { allow, forbid, resume, suspendIfIdle } from '../driver-core/runtime-power.ts'
import { Errno } from '../errno.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { setPowerState } from '../pci/power.ts'
import { disableSriov, enableSriov } from '../pci/sriov.ts'
import type { Task } from '../task.ts'
import { type InterruptFabric, InterruptVectors } from './interrupt-vectors.ts'
import { VfioPciFunction, type VfioPciShared } from './pci/pci-function.ts'
import type { VfioCore } from './vfio-core.ts'

const NAME = 'vfio-pci'
const INTEL = 0x8086
/** Accelerators whose virtual functions or sibling queues are not safe in user hands: QAT, DSA, IAX. */
const DENIED = [0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443, 0x0b25, 0x0cfe]

const ANYTHING: DeviceId = {
  vendor: null,
  device: null,
  subvendor: null,
  subdevice: null,
  class: 0,
  classMask: 0,
  overrideOnly: true,
  driverData: 0,
}

/** @param fabric tells of interrupts */
export function vfioPciDriver(
  context: KernelContext,
  vfio: VfioCore,
  fabric: InterruptFabric,
): Driver {
  const { pci, iommu, parameters } = vfio
  const shared: VfioPciShared = {
    context,
    pci,
    parameters,
    vectors: new InterruptVectors(fabric),
    functions: new Map(),
    unitOf: (device) => iommu.unitOf(device),
  }
  captureVirtualFunctions(shared)
  return {
    name: NAME,
    bus: pci.bus,
    module: 'vfio_pci',
    managesDma: true,
    isVfio: true,
    ids: [ANYTHING],
    dynamicIds: idsOf(context, parameters.ids),
    takesIds: true,
    *probe(device) {
      yield* probe(shared, vfio, pciDevice(device))
    },
    *remove(device) {
      yield* remove(shared, vfio, pciDevice(device))
    },
    *sriovConfigure(device, count) {
      if (!parameters.enableSriov.value) throw new Errno('ENOENT', 'enable_sriov is not set')
      yield* configureSriov(shared, pciDevice(device), count)
    },
  }
}

/** vfio_pci_core_register_device() */
function* probe(shared: VfioPciShared, vfio: VfioCore, device: PciDevice): Task<void> {
  const { context, parameters, functions } = shared
  const log = (text: string): void => {
    context.log.push(`${NAME} ${device.name}: ${text}`)
  }
  refuseDenied(device, parameters.disableDenylist.value, log)
  if (device.headerType !== 0) throw new Errno('EINVAL', `${device.name} is a bridge`)
  if ((device.sriov?.numVfs ?? 0) > 0) {
    log('Cannot bind to PF with SR-IOV enabled')
    throw new Errno('EBUSY')
  }
  const fn = new VfioPciFunction(shared, device)
  device.driverData = fn
  setPowerState(device, 'D0')
  allow(device.power)
  if (parameters.idleD3) suspendIfIdle(device.power)
  functions.set(device, fn)
  try {
    fn.registered = yield* vfio.registerDevice(device, fn)
  } catch (error) {
    functions.delete(device)
    wakeForGood(shared, fn)
    throw error
  }
}

function refuseDenied(device: PciDevice, disabled: boolean, log: (text: string) => void): void {
  if (device.vendor !== INTEL || !DENIED.includes(device.device)) return
  const id = [device.vendor, device.device].map((n) => n.toString(16).padStart(4, '0')).join(':')
  if (disabled) {
    log(`device denylist disabled - allowing device ${id}.`)
    return
  }
  log(`${id} exists in vfio-pci device denylist, driver probing disallowed.`)
  throw new Errno('EINVAL')
}

/** vfio_pci_core_unregister_device(): sleeps until users let go. */
function* remove(shared: VfioPciShared, vfio: VfioCore, device: PciDevice): Task<void> {
  const fn = shared.functions.get(device)
  const registered = fn?.registered ?? null
  if (fn === undefined || registered === null) return
  yield* configureSriov(shared, device, 0)
  yield* vfio.unregisterDevice(registered)
  shared.functions.delete(device)
  wakeForGood(shared, fn)
}

/** The device is awake and stays so. */
function wakeForGood({ parameters }: VfioPciShared, { device, power }: VfioPciFunction): void {
  if (parameters.idleD3) resume(device.power)
  forbid(device.power)
  power.detach()
}

/** vfio_pci_core_sriov_configure(): a physical function must not sleep below its virtual ones. */
function* configureSriov(shared: VfioPciShared, device: PciDevice, count: number): Task<void> {
  const enabled = (device.sriov?.numVfs ?? 0) > 0
  if (count === 0) {
    if (!enabled) return
    yield* disableSriov(shared.pci, device)
    suspendIfIdle(device.power)
    return
  }
  if (enabled) throw new Errno('EINVAL')
  resume(device.power)
  try {
    yield* enableSriov(shared.pci, device, count)
  } catch (error) {
    suspendIfIdle(device.power)
    throw error
  }
}

/**
 * vfio_pci_bus_notifier(): virtual functions of a physical one in user hands go to nobody else by
 * accident: the override is set before any driver is asked.
 */
function captureVirtualFunctions({ context, pci, functions }: VfioPciShared): void {
  pci.bus.registerNotifier((event, device) => {
    if (!(device instanceof PciDevice) || device.physicalFunction === null) return
    const physical = device.physicalFunction
    if (!functions.has(physical)) return
    if (event === 'add-device') {
      context.log.push(
        `${NAME} ${physical.name}: Captured SR-IOV VF ${device.name} driver_override`,
      )
      device.driverOverride = NAME
    } else if (event === 'bound-driver' && device.driver?.name !== NAME) {
      context.log.push(
        `${NAME} ${physical.name}: VF ${device.name} bound to driver ${device.driver?.name ?? ''} while PF bound to driver ${NAME}`,
      )
    }
  })
}

/** vfio_pci_fill_ids(): "vendor:device[:subvendor[:subdevice[:class[:mask]]]],..." in hexadecimal. */
function idsOf(context: KernelContext, text: string): DeviceId[] {
  const ids: DeviceId[] = []
  for (const entry of text.split(',')) {
    if (entry === '') continue
    const [vendor, device, subvendor = -1, subdevice = -1, code = 0, mask = 0] = entry
      .split(':')
      .map((field) => parseInt(field, 16))
    if (vendor === undefined || device === undefined || Number.isNaN(vendor + device)) {
      context.log.push(`vfio_pci: invalid id string "${entry}"`)
      continue
    }
    ids.push({
      vendor,
      device,
      subvendor: subvendor < 0 ? null : subvendor,
      subdevice: subdevice < 0 ? null : subdevice,
      class: code,
      classMask: mask,
      overrideOnly: false,
      driverData: 0,
    })
    const hex = (n: number, digits: number): string => (n >>> 0).toString(16).padStart(digits, '0')
    context.log.push(
      `vfio_pci: add [${hex(vendor, 4)}:${hex(device, 4)}[${hex(subvendor, 8)}:${hex(subdevice, 8)}]] class 0x${hex(code, 6)}/${hex(mask, 8)}`,
    )
  }
  return ids
}

function pciDevice(device: Device): PciDevice {
  if (!(device instanceof PciDevice)) throw new Errno('ENODEV', `${device.name} is no PCI function`)
  return device
}
