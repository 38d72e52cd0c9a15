/**
 * Binding drivers to devices and letting go of them (drivers/base/dd.c).
 *
 *     match --> lock --> still there, still free? --> DMA set-up (may refuse) --> BIND, links
 *           --> probe --> BOUND --> uevent "bind"
 *                  \--> failed: links away, NOT BOUND, DMA clean-up
 *
 * Two kinds of "no" must not be mixed up. When the driver's probe fails, the next driver may try, and
 * a write to drivers_probe succeeds all the same. When the core refuses before probe (a user owns the
 * group: EBUSY), nothing else is tried, and the caller is told. The kernel tells them apart by the sign of
 * the error number, since 5.14; before that it swallowed both, and `bind` said ENODEV to everything.
 *
 * Everything here takes the device's lock. An unbind that waits for users holds it, so all that wants the
 * device waits behind it.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { relativeLink } from '../sysfs/node.ts'
import { step, type Task } from '../task.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'
import { reportProbeFailure } from './probe-failure.ts'
import { requestIdle, resume, suspendIfIdle } from './runtime-power.ts'

/** A probe that said no: kept apart from refusals of the core, which are plain Errnos. */
class ProbeFailure {
  readonly errno: Errno

  constructor(errno: Errno) {
    this.errno = errno
  }
}

/**
 * driver_match_device(): an override names the only driver that may have the device, and that one needs
 * no table entry; else the driver's tables decide. Devices that are still being set up match nothing.
 */
export function matches(device: Device, driver: Driver): boolean {
  if (!device.matchable || device.bus === null) return false
  if (device.driverOverride !== null) return device.driverOverride === driver.name
  return device.bus.operations.match(device, driver)
}

/**
 * device_attach(): offers the device to the drivers of its bus, in the order they registered.
 * @returns whether it is bound now (it may have been before); false: nobody wanted it, be it that no
 *   driver matched or that every probe failed
 * @throws Errno what the core refused with, before any probe: EBUSY (a user owns its group),
 *   EPROBE_DEFER (it has no default domain yet); drivers after that one were not asked
 */
export function* attachDevice(context: KernelContext, device: Device): Task<boolean> {
  return yield* device.lock.with(function* attach(): Task<boolean> {
    if (device.dead) return false
    if (device.driver !== null) return true
    const parent = device.parent?.power
    if (parent !== undefined) resume(parent)
    try {
      for (const driver of [...(device.bus?.drivers.values() ?? [])]) {
        if (!matches(device, driver)) continue
        yield* step(`probe ${device.name} with ${driver.name}`)
        if ((yield* probeOrDefer(context, device, driver)) === null) return true
      }
      return false
    } finally {
      requestIdle(device.power)
      if (parent !== undefined) suspendIfIdle(parent)
    }
  })
}

/**
 * device_driver_attach(): what a write to `bind` does once the driver matched.
 * @throws Errno EBUSY (bound already), what the core refused with, or what probe failed with; EAGAIN for
 *   both kinds of "later". Before 5.14 ENODEV for all of them
 */
export function* bindDriver(context: KernelContext, device: Device, driver: Driver): Task<void> {
  let refusal: Errno | undefined
  try {
    refusal = (yield* device.lock.with(() => probeLocked(context, device, driver)))?.errno
  } catch (error) {
    if (!(error instanceof Errno)) throw error
    refusal = error
  }
  if (refusal === undefined) return
  if (!atLeast(context.version, 5, 14)) throw new Errno('ENODEV', refusal.message)
  throw refusal.code === 'EPROBE_DEFER' ? new Errno('EAGAIN', refusal.message) : refusal
}

/** driver_attach(): every device that the driver matches, one after the other, in registration order. */
export function* attachDriver(context: KernelContext, driver: Driver): Task<void> {
  for (const device of [...driver.bus.devices.values()]) {
    if (!matches(device, driver)) continue
    yield* step(`probe ${device.name} with ${driver.name}`)
    try {
      yield* device.lock.with(() => probeOrDefer(context, device, driver))
    } catch (error) {
      // __driver_attach() ignores why one device could not be had; most are bound to another driver.
      if (!(error instanceof Errno)) throw error
    }
  }
}

/** driver_register() @throws Errno EBUSY when the bus has a driver of the name */
export function* registerDriver(context: KernelContext, driver: Driver): Task<void> {
  const { bus } = driver
  if (bus.drivers.has(driver.name)) {
    context.log.push(`Error: Driver '${driver.name}' is already registered, aborting...`)
    throw new Errno('EBUSY', `${driver.name} is registered`)
  }
  bus.drivers.set(driver.name, driver)
  if (bus.autoprobe) yield* attachDriver(context, driver)
  context.uevents.emitPlain('add', { path: driverPath(driver), subsystem: 'drivers' })
}

/** driver_unregister(): nobody can bind it any more; then its devices are released, the last first. */
export function* unregisterDriver(context: KernelContext, driver: Driver): Task<void> {
  driver.bus.drivers.delete(driver.name)
  const devices = boundDevices(driver)
  for (;;) {
    const device = [...devices.values()].at(-1)
    if (device === undefined) break
    yield* releaseDriver(context, device, driver)
  }
  driver.bus.bound.delete(driver)
  context.uevents.emitPlain('remove', { path: driverPath(driver), subsystem: 'drivers' })
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
    device.links.delete('driver')
    device.bus?.notify('unbind-driver', device)
    suspendIfIdle(device.power)
    yield* step(`remove ${device.name} from ${driver.name}`)
    yield* driver.remove(device)
    device.bus?.operations.cleanUpDma(device, driver)
    forget(device, driver)
    device.bus?.notify('unbound-driver', device)
    context.uevents.emit('unbind', device)
  })
}

/** driver_probe_device(): remembers devices whose probe wants to be tried again. */
function* probeOrDefer(
  context: KernelContext,
  device: Device,
  driver: Driver,
): Task<ProbeFailure | null> {
  let refusal: unknown
  try {
    const failure = yield* probeLocked(context, device, driver)
    refusal = failure?.errno
    return failure
  } catch (error) {
    refusal = error
    if (error instanceof Errno && !atLeast(context.version, 5, 14)) return new ProbeFailure(error)
    throw error
  } finally {
    if (refusal instanceof Errno && refusal.code === 'EPROBE_DEFER' && device.readyToProbe) {
      driver.bus.deferred.add(device)
    }
  }
}

/**
 * __driver_probe_device(), with the device's lock held.
 * @returns null when bound, or what probe failed with @throws Errno refused by the core
 */
function* probeLocked(
  context: KernelContext,
  device: Device,
  driver: Driver,
): Task<ProbeFailure | null> {
  // The file that was written to is gone by now, and so is the entry of a bus walk.
  if (driver.bus.drivers.get(driver.name) !== driver) throw new Errno('ENODEV', driver.name)
  if (device.dead || !device.registered) throw new Errno('ENODEV', device.name)
  if (device.driver !== null) throw new Errno('EBUSY', `${device.name} is bound already`)
  if (!device.readyToProbe) throw new Errno('EPROBE_DEFER', `${device.name} is not ready`)
  const parent = device.parent?.power
  if (parent !== undefined) resume(parent)
  try {
    return yield* reallyProbe(context, device, driver)
  } finally {
    requestIdle(device.power)
    if (parent !== undefined) suspendIfIdle(parent)
  }
}

/** really_probe() */
function* reallyProbe(
  context: KernelContext,
  device: Device,
  driver: Driver,
): Task<ProbeFailure | null> {
  const operations = device.bus?.operations
  device.driver = driver
  boundDevices(driver).set(device.name, device)
  try {
    operations?.configureDma(device, driver)
  } catch (error) {
    forget(device, driver)
    throw error
  }
  device.bus?.notify('bind-driver', device)
  device.links.set('driver', relativeLink(device.path, driverPath(driver)))
  try {
    yield* step(`inside probe of ${device.name} by ${driver.name}`)
    yield* driver.probe(device)
    yield* step(`${driver.name} has ${device.name}`)
  } catch (error) {
    if (!(error instanceof Errno)) throw error
    reportProbeFailure(context, device, driver, error)
    device.links.delete('driver')
    device.bus?.notify('driver-not-bound', device)
    operations?.cleanUpDma(device, driver)
    forget(device, driver)
    return new ProbeFailure(error)
  }
  driver.bus.deferred.delete(device)
  retryDeferred(context, driver)
  device.bus?.notify('bound-driver', device)
  context.uevents.emit('bind', device)
  return null
}

/** driver_deferred_probe_trigger(): what was missing may be there now. In a task of its own. */
function retryDeferred(context: KernelContext, { bus }: Driver): void {
  const waiting = [...bus.deferred]
  bus.deferred.clear()
  if (waiting.length === 0 || !bus.autoprobe) return
  const retry = function* (): Task<void> {
    for (const device of waiting) {
      try {
        yield* attachDevice(context, device)
      } catch (error) {
        if (!(error instanceof Errno)) throw error
      }
    }
  }
  context.scheduler.start('deferred probe', retry(), () => undefined)
}

/** device_unbind_cleanup() */
function forget(device: Device, driver: Driver): void {
  device.driver = null
  device.driverData = null
  boundDevices(driver).delete(device.name)
}

/** Devices that the driver has, by name. */
export function boundDevices(driver: Driver): Map<string, Device> {
  let bound = driver.bus.bound.get(driver)
  if (bound === undefined) {
    bound = new Map()
    driver.bus.bound.set(driver, bound)
  }
  return bound
}

/** Directory of the driver, without /sys. */
export function driverPath({ bus, name }: Driver): string {
  return `/bus/${bus.name}/drivers/${name}`
}
