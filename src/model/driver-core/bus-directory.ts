/**
 * A bus in sysfs: its devices, its drivers, and the files through which root binds them
 * (drivers/base/bus.c).
 *
 *     /sys/bus/pci/  devices/ drivers/ drivers_autoprobe drivers_probe uevent
 *     /sys/bus/pci/drivers/vfio-pci/  bind unbind uevent new_id remove_id module -> 0000:01:00.0 ->
 *
 * What these files answer is easily read wrong: `bind` tells how it went, `drivers_probe` only that
 * somebody was asked.
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { type Directory, directory, type File, type Node, relativeLink } from '../sysfs/node.ts'
import { writtenWord } from '../sysfs/written-text.ts'
import type { Task } from '../task.ts'
import {
  attachDevice,
  bindDriver,
  boundDevices,
  driverPath,
  matches,
  releaseDriver,
} from './bind.ts'
import type { Bus } from './bus.ts'
import { syntheticEvent } from './core-attributes.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'
import type { PlainObject } from './uevents.ts'

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
      *write(bytes): Task<void> {
        bus.autoprobe = bytes[0] !== 0x30
      },
    }),
    drivers_probe: () => nameFile((name) => probeByName(context, bus, name)),
    uevent: () => ueventFile(context, { path: `/bus/${bus.name}`, subsystem: 'bus' }),
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
  const path = driverPath(driver)
  const bound = boundDevices(driver)
  const { module } = driver
  const fixed = directory({
    bind: () => nameFile((name) => bindByName(context, bus, driver, name)),
    unbind: () => nameFile((name) => unbindByName(context, bus, driver, name)),
    uevent: () => ueventFile(context, { path, subsystem: 'drivers' }),
    ...bus.driverFiles?.(driver),
    ...(module === null ? {} : { module: (): Node => relativeLink(path, `/module/${module}`) }),
  })
  return {
    kind: 'directory',
    list: () => [...fixed.list(), ...[...bound.values()].filter(isLinked).map(({ name }) => name)],
    find: (name) => {
      const device = bound.get(name)
      return device !== undefined && isLinked(device)
        ? relativeLink(path, device.path)
        : fixed.find(name)
    },
  }
}

/** The link there and the link back come and go together; a driver has the device for longer. */
function isLinked(device: Device): boolean {
  return device.links.has('driver')
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

/** A file of mode 0200 that takes the name of a device. */
function nameFile(store: (name: string) => Task<void>): File {
  return { kind: 'file', mode: 0o200, write: (bytes) => store(writtenWord(bytes)) }
}

/** bus_uevent_store(), uevent_store() of a driver */
function ueventFile(context: KernelContext, object: PlainObject): File {
  return {
    kind: 'file',
    mode: 0o200,
    // biome-ignore lint/correctness/useYield: a store is a task
    *write(bytes): Task<void> {
      const { action, variables } = syntheticEvent(context, object.path, bytes)
      context.uevents.emitPlain(action, object, variables)
    },
  }
}

/** bind_store() @throws Errno ENODEV (no such device, or no match), and those of bindDriver */
function* bindByName(context: KernelContext, bus: Bus, driver: Driver, name: string): Task<void> {
  const device = bus.devices.get(name)
  if (device === undefined || !matches(device, driver)) throw new Errno('ENODEV', name)
  yield* bindDriver(context, device, driver)
}

/**
 * unbind_store(): looks at the driver without the lock, then releases whichever driver there is.
 * @throws Errno ENODEV (no such device, or bound to something else)
 */
function* unbindByName(context: KernelContext, bus: Bus, driver: Driver, name: string): Task<void> {
  const device = bus.devices.get(name)
  if (device?.driver !== driver) throw new Errno('ENODEV', name)
  yield* releaseDriver(context, device)
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
