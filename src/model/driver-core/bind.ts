/**
 * Binding drivers to devices and letting go of them (drivers/base/dd.c).
 *
 *     match --> lock --> still there, still free? --> DMA set-up (may refuse) --> links, BIND
 *           --> probe --> BOUND --> uevent "bind"
 *                  \--> failed: links away, NOT BOUND, DMA clean-up
 *
 * Two kinds of "no" must not be mixed up. When the driver's probe fails, the next driver may try, and
 * a write to drivers_probe succeeds all the same. When the core refuses before probe (a user owns the
 * group: EBUSY), nothing else is tried, and the caller is told.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { step, type Task } from '../task.ts'
import { relativeLink } from '../sysfs/node.ts'
import type { Bus } from './bus.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'
import { resume, suspendIfIdle } from './runtime-power.ts'

/** A probe that said no: kept apart from refusals of the core, which are plain Errnos. */
class ProbeFailure {
  readonly errno: Errno

  constructor(errno: Errno) {
    this.errno = errno
  }
}

/**
 * driver_match_device(): an override names the only driver that may have the device; else the
 * driver's tables decide. Devices that are still being set up match nothing.
 */
export function matches(device: Device, driver: Driver): boolean {
  if (!device.matchable || device.bus === null) return false
  if (device.driverOverride !== null) return device.driverOverride === driver.name
  return device.bus.operations.match(device, driver)
}

/**
 * device_attach(): offers the device to the drivers of its bus, in the order they registered.
 * @returns whether it is bound now (it may have been before)
 * @throws Errno what the core refused with, before any probe; failed probes are not thrown
 */
export function* attachDevice(context: KernelContext, device: Device): Task<boolean> {
  return yield* device.lock.with(function* attach(): Task<boolean> {
    if (device.dead) return false
    if (device.driver !== null) return true
    for (const driver of [...(device.bus?.drivers.values() ?? [])]) {
      if (!matches(device, driver)) continue
      yield* step(`probe ${device.name} with ${driver.name}`)
      const failure = yield* probeLocked(context, device, driver)
      if (failure === null) return true
    }
    return false
  })
}

/**
 * device_driver_attach(): what a write to `bind` does once the driver matched.
 * @throws Errno EBUSY (bound already; ENODEV before 5.11), what the core refused with, or what probe
 *   failed with (a deferred probe is EAGAIN)
 */
export function* bindDriver(context: KernelContext, device: Device, driver: Driver): Task<void> {
  const failure = yield* device.lock.with(() => probeLocked(context, device, driver))
  if (failure === null) return
  throw failure.errno.code === 'EPROBE_DEFER' ? new Errno('EAGAIN') : failure.errno
}

/** driver_attach(): every free device that the driver matches, one after the other. */
export function* attachDriver(context: KernelContext, driver: Driver): Task<void> {
  for (const device of [...driver.bus.devices.values()]) {
    if (!matches(device, driver)) continue
    yield* step(`probe ${device.name} with ${driver.name}`)
    try {
      yield* device.lock.with(function* attach(): Task<void> {
        if (device.driver === null) yield* probeLocked(context, device, driver)
      })
    } catch (error) {
      // __driver_attach() ignores why one device could not be had.
      if (!(error instanceof Errno)) throw error
    }
  }
}

/** driver_register() */
export function* registerDriver(context: KernelContext, driver: Driver): Task<void> {
  const { bus } = driver
  if (bus.drivers.has(driver.name)) throw new Errno('EBUSY', `${driver.name} is registered`)
  bus.drivers.set(driver.name, driver)
  if (bus.autoprobe) yield* attachDriver(context, driver)
}

/** driver_unregister(): every device is released first. */
export function* unregisterDriver(context: KernelContext, driver: Driver): Task<void> {
  for (const device of [...driver.bus.devices.values()]) {
    if (device.driver === driver) yield* releaseDriver(context, device, driver)
  }
  driver.bus.drivers.delete(driver.name)
}

/**
 * device_release_driver(): does nothing when no driver is bound. May sleep until users let go.
 * @param only release it from this driver and no other
 */
export function* releaseDriver(
  context: KernelContext,
  device: Device,
  only: Driver | null = null,
): Task<void> {
  yield* device.lock.with(function* release(): Task<void> {
    const { driver } = device
    if (driver === null || (only !== null && driver !== only)) return
    resume(device.power)
    // The links go first: while a driver waits for its users, nobody is shown as bound.
    unlink(device, driver)
    device.bus?.notify('unbind-driver', device)
    suspendIfIdle(device.power)
    yield* step(`remove ${device.name} from ${driver.name}`)
    yield* driver.remove(device)
    device.bus?.operations.cleanUpDma(device, driver)
    forget(device)
    device.bus?.notify('unbound-driver', device)
    context.uevents.emit('unbind', device)
  })
}

/**
 * __driver_probe_device() and really_probe(), with the device's lock held.
 * @returns null when bound, or what probe failed with @throws Errno refused by the core
 */
function* probeLocked(
  context: KernelContext,
  device: Device,
  driver: Driver,
): Task<ProbeFailure | null> {
  if (device.dead || !device.registered) throw new Errno('ENODEV')
  if (device.driver !== null) {
    throw new Errno(atLeast(context.version, 5, 11) ? 'EBUSY' : 'ENODEV', 'bound already')
  }
  const operations = device.bus?.operations
  device.driver = driver
  try {
    operations?.configureDma(device, driver)
  } catch (error) {
    forget(device)
    throw error
  }
  link(device, driver)
  device.bus?.notify('bind-driver', device)
  try {
    yield* step(`inside probe of ${device.name} by ${driver.name}`)
    yield* driver.probe(device)
  } catch (error) {
    if (!(error instanceof Errno)) throw error
    reportFailure(context, device, driver, error)
    unlink(device, driver)
    device.bus?.notify('driver-not-bound', device)
    operations?.cleanUpDma(device, driver)
    forget(device)
    return new ProbeFailure(error)
  }
  device.bus?.notify('bound-driver', device)
  context.uevents.emit('bind', device)
  return null
}

/** driver_sysfs_add() */
function link(device: Device, driver: Driver): void {
  const bus = device.bus?.name ?? ''
  device.links.set('driver', relativeLink(device.path, `/bus/${bus}/drivers/${driver.name}`))
  boundDevices(driver.bus, driver).set(device.name, device)
}

function unlink(device: Device, driver: Driver): void {
  device.links.delete('driver')
  boundDevices(driver.bus, driver).delete(device.name)
}

/** device_unbind_cleanup() */
function forget(device: Device): void {
  device.driver = null
  device.driverData = null
}

/** Devices that the driver's directory links to, by name. */
export function boundDevices(bus: Bus, driver: Driver): Map<string, Device> {
  let bound = bus.bound.get(driver)
  if (bound === undefined) {
    bound = new Map()
    bus.bound.set(driver, bound)
  }
  return bound
}

const ERRNO_NUMBERS: Readonly<Record<string, number>> = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EAGAIN: 11,
  ENOMEM: 12,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  ETIMEDOUT: 110,
}

/** Number of an errno as messages of the kernel print it. */
export function errnoNumber(errno: Errno): number {
  return ERRNO_NUMBERS[errno.code] ?? 5
}

/** call_driver_probe(): "not mine" is no error, everything else goes to the log. */
function reportFailure(context: KernelContext, device: Device, driver: Driver, errno: Errno): void {
  if (['ENODEV', 'ENXIO', 'EPROBE_DEFER'].includes(errno.code)) return
  const number = String(-errnoNumber(errno))
  // The wording changed with 6.8.
  context.log.push(
    atLeast(context.version, 6, 8)
      ? `${driver.name} ${device.name}: probe with driver ${driver.name} failed with error ${number}`
      : `${driver.name}: probe of ${device.name} failed with error ${number}`,
  )
}
