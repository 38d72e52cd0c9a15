/**
 * A device comes into the driver model and leaves it (device_add and device_del, drivers/base/core.c).
 * The order is what makes isolation possible: the group is there before anybody hears of the device, and
 * before any driver can have it.
 *
 *     in sysfs, on the bus --> ADD_DEVICE notifiers (the IOMMU core gives it its group)
 *                          --> uevent "add" --> drivers are asked
 *     drivers let go --> DEL_DEVICE --> off the bus --> REMOVED_DEVICE (it leaves its group) --> "remove"
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { step, type Task } from '../task.ts'
import { attachDevice, releaseDriver } from './bind.ts'
import type { Device } from './device.ts'

/** device_add(). @throws Errno EEXIST when the bus has a device of the name */
export function* addDevice(context: KernelContext, device: Device): Task<void> {
  const { bus } = device
  if (bus?.devices.has(device.name) === true) throw new Errno('EEXIST', device.name)
  device.registered = true
  device.dead = false
  device.parent?.children.set(childKey(device), device)
  bus?.devices.set(device.name, device)
  context.devices.add(device)
  yield* step(`notify of ${device.name}`)
  bus?.notify('add-device', device)
  context.uevents.emit('add', device)
  yield* step(`initial probe of ${device.name}`)
  if (bus === null || !bus.autoprobe || !device.matchable) return
  try {
    yield* attachDevice(context, device)
  } catch (error) {
    // device_initial_probe() has nobody to tell.
    if (!(error instanceof Errno)) throw error
  }
}

/** device_del(). Children must be gone already. Does nothing for a device that was never added. */
export function* removeDevice(context: KernelContext, device: Device): Task<void> {
  if (!device.registered) return
  const { bus } = device
  yield* device.lock.with(function* kill(): Task<void> {
    device.dead = true
    yield* step(`${device.name} is dead`)
  })
  bus?.notify('del-device', device)
  yield* releaseDriver(context, device)
  bus?.devices.delete(device.name)
  device.parent?.children.delete(childKey(device))
  context.devices.delete(device)
  device.registered = false
  bus?.notify('removed-device', device)
  context.uevents.emit('remove', device)
}

/** Name of a device inside its parent's directory: "net/eth0", or just "0000:01:00.0". */
export function childKey(device: Device): string {
  return device.subdirectory === null ? device.name : `${device.subdirectory}/${device.name}`
}
