/**
 * Which driver takes which function: pci_match_device and the files `new_id` and `remove_id` of
 * drivers/pci/pci-driver.c.
 */
import type { KernelContext } from '../context.ts'
import { attachDriver } from '../driver-core/bind.ts'
import type { DeviceId, Driver } from '../driver-core/driver.ts'
import { Errno } from '../errno.ts'
import type { File, Node } from '../sysfs/node.ts'
import type { Task } from '../task.ts'
import { scanHex } from './kernel-numbers.ts'
import type { PciDevice } from './pci-device.ts'

/** What a table entry is compared with. */
interface Identity {
  readonly vendor: number
  readonly device: number
  readonly subsystemVendor: number
  readonly subsystemDevice: number
  readonly classCode: number
}

const ANY = 0xffffffff

/** pci_match_one_device() */
function matchesId(id: DeviceId, device: Identity): boolean {
  return (
    (id.vendor === null || id.vendor === device.vendor) &&
    (id.device === null || id.device === device.device) &&
    (id.subvendor === null || id.subvendor === device.subsystemVendor) &&
    (id.subdevice === null || id.subdevice === device.subsystemDevice) &&
    ((id.class ^ device.classCode) & id.classMask) === 0
  )
}

/**
 * pci_match_device() without driver_override, which the driver core sees to: dynamic ids, then the
 * driver's own, except those that only an override selects.
 */
function matchesIds(driver: Driver, device: Identity): boolean {
  return (
    driver.dynamicIds.some((id) => matchesId(id, device)) ||
    driver.ids.some((id) => !id.overrideOnly && matchesId(id, device))
  )
}

/**
 * Whether the bus lets the driver have the device at all: virtual functions of which
 * sriov_drivers_autoprobe says no go to nobody without an override (pci_device_can_probe).
 */
export function busMatches(driver: Driver, device: PciDevice): boolean {
  if (device.physicalFunction?.sriovAutoprobe === false) return false
  return matchesIds(driver, device)
}

/** Files that every PCI driver has. */
export function driverFiles(
  context: KernelContext,
  driver: Driver,
): Readonly<Record<string, () => Node | undefined>> {
  if (!driver.takesIds) return {}
  const file = (write: (bytes: Uint8Array) => Task<void>): File => ({
    kind: 'file',
    mode: 0o200,
    write,
  })
  return {
    new_id: () => file((bytes) => newId(context, driver, bytes)),
    remove_id: () => file((bytes) => removeId(driver, bytes)),
  }
}

/**
 * new_id_store(): "vendor device [subvendor [subdevice [class [mask [driver data]]]]]", hexadecimal.
 * Offers the driver every free function that it matches now, not only those of the new id.
 * @throws Errno EINVAL, EEXIST
 */
function* newId(context: KernelContext, driver: Driver, bytes: Uint8Array): Task<void> {
  const fields = scanHex(bytes, 7)
  const [vendor, device, subvendor = ANY, subdevice = ANY, cls = 0, mask = 0, data = 0] = fields
  if (vendor === undefined || device === undefined) throw new Errno('EINVAL', 'two ids are needed')
  if (fields.length !== 7) {
    const identity = {
      vendor: vendor & 0xffff,
      device: device & 0xffff,
      subsystemVendor: subvendor & 0xffff,
      subsystemDevice: subdevice & 0xffff,
      classCode: cls,
    }
    if (matchesIds(driver, identity)) throw new Errno('EEXIST', `${driver.name} has the id`)
  }
  // Only data that the driver knows from its own table may be handed to it.
  if (driver.ids.length > 0 && !driver.ids.some(({ driverData }) => driverData === data)) {
    throw new Errno('EINVAL', `${driver.name} has no entry with this data`)
  }
  driver.dynamicIds.push({
    vendor: orAny(vendor),
    device: orAny(device),
    subvendor: orAny(subvendor),
    subdevice: orAny(subdevice),
    class: cls,
    classMask: mask,
    overrideOnly: false,
    driverData: data,
  })
  yield* attachDriver(context, driver)
}

function orAny(id: number): number | null {
  return id === ANY ? null : id
}

/** remove_id_store(): forgets the first dynamic id that fits. @throws Errno EINVAL, ENODEV */
// biome-ignore lint/correctness/useYield: a store is a task
function* removeId(driver: Driver, bytes: Uint8Array): Task<void> {
  const [vendor, device, subvendor = ANY, subdevice = ANY, cls = 0, mask = 0] = scanHex(bytes, 6)
  if (vendor === undefined || device === undefined) throw new Errno('EINVAL', 'two ids are needed')
  const at = driver.dynamicIds.findIndex(
    (id) =>
      id.vendor === vendor &&
      id.device === device &&
      (subvendor === ANY || id.subvendor === subvendor) &&
      (subdevice === ANY || id.subdevice === subdevice) &&
      ((id.class ^ cls) & mask) === 0,
  )
  if (at < 0) throw new Errno('ENODEV', `${driver.name} was given no such id`)
  driver.dynamicIds.splice(at, 1)
}
