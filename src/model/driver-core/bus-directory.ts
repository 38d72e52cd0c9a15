/**
 * A bus in sysfs: its devices, its drivers, and the files through which root binds them
 * (drivers/base/bus.c).
 *
 *     /sys/bus/pci/  devices/ drivers/ drivers_autoprobe drivers_probe uevent
 *     /sys/bus/pci/drivers/vfio-pci/  bind unbind new_id remove_id module -> 0000:01:00.0 ->
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { type Directory, directory, type File, type Node, relativeLink } from '../sysfs/node.ts'
import type { Task } from '../task.ts'
import { attachDevice, bindDriver, boundDevices, matches, releaseDriver } from './bind.ts'
import type { Bus } from './bus.ts'
import { firstLine } from './core-attributes.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'

/** /sys/bus/<name> */
export function busDirectory(context: KernelContext, bus: Bus): Directory {
  return directory({
    devices: () => linksTo(`/bus/${bus.name}/devices`, bus.devices),
    drivers: () => driversDirectory(context, bus),
    drivers_autoprobe: () => ({
      kind: 'file',
      mode: 0o644,
      read: () => `${bus.autoprobe ? '1' : '0'}\n`,
      // biome-ignore lint/correctness/useYield: a store is a task
      write: function* (bytes): Task<void> {
        bus.autoprobe = bytes[0] !== 0x30
      },
    }),
    drivers_probe: () => writeOnly((name) => probeByName(context, bus, name)),
    ...bus.files,
  })
}

function driversDirectory(context: KernelContext, bus: Bus): Directory {
  return {
    kind: 'directory',
    list: () => [...bus.drivers.keys()],
    find: (name) => {
      const driver = bus.drivers.get(name)
      return driver === undefined ? undefined : driverDirectory(context, bus, driver)
    },
  }
}

/** Names of devices and of files live in one directory. */
function driverDirectory(context: KernelContext, bus: Bus, driver: Driver): Directory {
  const path = `/bus/${bus.name}/drivers/${driver.name}`
  const bound = boundDevices(bus, driver)
  const { module } = driver
  const files: Record<string, () => Node | undefined> = {
    bind: () => writeOnly((name) => bindByName(context, bus, driver, name)),
    unbind: () => writeOnly((name) => unbindByName(context, bus, driver, name)),
    uevent: () => writeOnly(() => nothing()),
    ...bus.driverFiles?.(driver),
    module: () => (module === null ? undefined : relativeLink(path, `/module/${module}`)),
  }
  const fixed = directory(files)
  return {
    kind: 'directory',
    list: () => [...fixed.list(), ...bound.keys()],
    find: (name) => {
      const device = bound.get(name)
      return device === undefined ? fixed.find(name) : relativeLink(path, device.path)
    },
  }
}

function linksTo(path: string, devices: ReadonlyMap<string, Device>): Directory {
  return {
    kind: 'directory',
    list: () => [...devices.keys()],
    find: (name) => {
      const device = devices.get(name)
      return device === undefined ? undefined : relativeLink(path, device.path)
    },
  }
}

/** A file of mode 0200 that takes one line. */
export function writeOnly(store: (line: string) => Task<void>): File {
  return { kind: 'file', mode: 0o200, write: (bytes) => store(firstLine(bytes)) }
}

/** bind_store() @throws Errno ENODEV (no such device, or no match), and those of bindDriver */
function* bindByName(context: KernelContext, bus: Bus, driver: Driver, name: string): Task<void> {
  const device = bus.devices.get(name)
  if (device === undefined || !matches(device, driver)) throw new Errno('ENODEV', name)
  yield* bindDriver(context, device, driver)
}

/** unbind_store() @throws Errno ENODEV (no such device, or bound to something else) */
function* unbindByName(context: KernelContext, bus: Bus, driver: Driver, name: string): Task<void> {
  const device = bus.devices.get(name)
  if (device?.driver !== driver) throw new Errno('ENODEV', name)
  yield* releaseDriver(context, device, driver)
}

/**
 * drivers_probe_store(): success means that the request was taken, not that a driver is bound.
 * @throws Errno ENODEV (no such device), EINVAL (refused before any probe)
 */
function* probeByName(context: KernelContext, bus: Bus, name: string): Task<void> {
  const device = bus.devices.get(name)
  if (device === undefined) throw new Errno('ENODEV', name)
  if (device.driver !== null) return
  try {
    yield* attachDevice(context, device)
  } catch (error) {
    throw error instanceof Errno ? new Errno('EINVAL', error.message) : error
  }
}

// biome-ignore lint/correctness/useYield: a store is a task
function* nothing(): Task<void> {
  return
}
