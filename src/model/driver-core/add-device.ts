/**
 * A device comes into the driver model and leaves it (device_add and device_del, drivers/base/core.c).
 * The order is what makes isolation possible: the group is there before anybody hears of the device, and
 * before any driver can have it.
 *
 *     in sysfs, on the bus --> ADD_DEVICE notifiers (the IOMMU core gives it its group)
 *                          --> uevent "add" --> ready to probe --> drivers are asked
 *     dead --> DEL_DEVICE --> off the bus --> its driver lets go
 *                         --> REMOVED_DEVICE (it leaves its group) --> "remove" --> out of sysfs
 *
 * Between "on the bus" and "ready" another task may find the device, because it registers a driver or
 * somebody writes its name to `bind`. Kernels up to early 2026 let it probe then, without a group.
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { step, type Task } from '../task.ts'
import { attachDevice, releaseDriver } from './bind.ts'
import type { Device } from './device.ts'

/** device_add(). @throws Errno EEXIST when the bus or the parent has a device of the name */
export function* addDevice(context: KernelContext, device: Device): Task<void> {
  const { bus, parent } = device
  if (bus?.devices.has(device.name) === true || parent?.children.has(childKey(device)) === true) {
    throw new Errno('EEXIST', device.name)
  }
  device.registered = true
  device.dead = false
  parent?.children.set(childKey(device), device)
  bus?.devices.set(device.name, device)
  context.devices.add(device)
  yield* step(`notify of ${device.name}`)
  bus?.notify('add-device', device)
  context.uevents.emit('add', device)
  yield* step(`${device.name} is announced`)
  device.readyToProbe = true
  yield* step(`initial probe of ${device.name}`)
  if (bus?.autoprobe !== true) return
  try {
    yield* attachDevice(context, device)
  } catch (error) {
    // device_initial_probe() has nobody to tell.
    if (!(error instanceof Errno)) throw error
  }
}

/**
 * device_del(): sleeps as long as the driver does not let go. Children must be gone already. Does
 * nothing for a device that was never added.
 */
export function* removeDevice(context: KernelContext, device: Device): Task<void> {
  if (!device.registered || device.dead) return
  const { bus } = device
  // biome-ignore lint/correctness/useYield: the body of a lock is a task
  yield* device.lock.with(function* kill(): Task<void> {
    device.dead = true
  })
  yield* step(`${device.name} is dead`)
  bus?.notify('del-device', device)
  bus?.devices.delete(device.name)
  yield* releaseDriver(context, device)
  bus?.deferred.delete(device)
  bus?.notify('removed-device', device)
  context.uevents.emit('remove', device)
  device.parent?.children.delete(childKey(device))
  context.devices.delete(device)
  device.readyToProbe = false
  device.registered = false
}

/** Name of a device inside its parent's directory: "net/eth0", or just "0000:01:00.0". */
function childKey(device: Device): string {
  return device.subdirectory === null ? device.name : `${device.subdirectory}/${device.name}`
}
