/**
 * The devices that drivers make of functions: a network interface, a disk, a sound card. They live
 * below the function in sysfs, and programs find them through /sys/class.
 *
 *     .../0000:01:00.0/net/eth0  .../0000:02:00.0/nvme/nvme0/nvme0n1  .../0000:00:1b.0/sound/card0
 *
 * A directory named after the class stands between a PCI function and a class device, but not
 * between two class devices (get_device_parent, drivers/base/core.c).
 */
import { addDevice, removeDevice } from '../driver-core/add-device.ts'
import { type Attribute, Device } from '../driver-core/device.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { Task } from '../task.ts'
import { NO_USES } from '../machine/host-uses.ts'
import { constant, dress } from './class-dress.ts'
import type { DeviceNames } from './device-names.ts'
import type { DriverServices } from './driver-services.ts'

/** "net", "nvme", "block", "sound", "drm" ... and the name in it. */
export interface Service {
  readonly class: string
  readonly name: string
}

/** Adds the devices in order. When one fails, those before it are gone again. */
export function* addServices(
  services: DriverServices,
  device: PciDevice,
  wanted: readonly Service[],
): Task<readonly Device[]> {
  const added: Device[] = []
  try {
    for (const service of wanted) {
      const made = classDevice(device, service, added)
      dress(services.context, services.uses ?? NO_USES, made)
      yield* addDevice(services.context, made)
      added.push(made)
    }
  } catch (error) {
    yield* removeServices(services, added)
    throw error
  }
  return added
}

/** Last one first. */
export function* removeServices(services: DriverServices, added: readonly Device[]): Task<void> {
  for (const device of [...added].reverse()) yield* removeDevice(services.context, device)
}

/** What a function of the machine is used for, or what its driver makes by default. */
export function servicesOf(
  services: DriverServices,
  device: PciDevice,
  byDefault: (names: DeviceNames) => readonly Service[],
  names: DeviceNames,
): readonly Service[] {
  const described = services.describe(device.name)?.services
  if (described === undefined) return byDefault(names)
  for (const { class: of, name } of described) names.take(of, name)
  // A disk hangs below its controller and a partition below its disk, so these come first.
  return [...described].sort(
    (a, b) =>
      Number(a.class === 'block') - Number(b.class === 'block') ||
      (a.class === 'block' ? a.name.length - b.name.length : 0),
  )
}

function classDevice(device: PciDevice, service: Service, before: readonly Device[]): Device {
  const controller = before.find((one) => isWithin(service, one))
  const made = new Device({
    name: service.name,
    parent: controller ?? device,
    bus: null,
    className: service.class,
    attributes: (controller?.className === 'block' ? PARTITION : ATTRIBUTES[service.class]) ?? [],
    ...(controller === undefined ? { subdirectory: service.class } : {}),
  })
  if (service.class === 'net') made.ueventVariables = () => [['INTERFACE', service.name]]
  else if (service.class === 'block') {
    const kind = controller?.className === 'block' ? 'partition' : 'disk'
    made.ueventVariables = () => [['DEVTYPE', kind]]
  } else if (service.class === 'nvme') made.ueventVariables = () => [['NVME_TRTYPE', 'pcie']]
  return made
}

/** A disk is in its controller, a partition in its disk: "nvme0n1p2" in "nvme0n1", "sda1" in "sda". */
function isWithin(service: Service, { className, name }: Device): boolean {
  if (service.class !== 'block' || !service.name.startsWith(name)) return false
  const rest = service.name.slice(name.length)
  if (className === 'nvme') return /^n\d+$/.test(rest)
  return className === 'block' && (/\d$/.test(name) ? /^p\d+$/ : /^\d+$/).test(rest)
}

const PARTITION: readonly Attribute[] = [constant('ro', '0\n'), constant('partition', '1\n')]

/** Files that only depend on the class. */
const ATTRIBUTES: Readonly<Record<string, readonly Attribute[]>> = {
  net: [constant('type', '1\n'), constant('mtu', '1500\n')],
  nvme: [constant('transport', 'pcie\n'), constant('state', 'live\n')],
  block: [constant('ro', '0\n'), constant('removable', '0\n')],
}
