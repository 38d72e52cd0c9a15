/**
 * Files that the driver core itself gives a device: `uevent`, `dev` where it has a node, and
 * `driver_override` on the buses (drivers/base/core.c, driver_set_override() in drivers/base/driver.c).
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import { writtenText } from '../sysfs/written-text.ts'
import type { Task } from '../task.ts'
import type { Attribute, Device } from './device.ts'
import { BadEvent, parseSyntheticEvent, type SyntheticEvent } from './synthetic-event.ts'
import { ueventFileVariables } from './uevents.ts'

/** A page, less one byte for the newline that is shown and one for the terminating zero. */
const OVERRIDE_BYTES_MAX = 4094

/** The same table for every device of a kernel. */
export function coreAttributes(context: KernelContext): readonly Attribute[] {
  return [
    {
      name: 'uevent',
      mode: 0o644,
      show: (device) =>
        ueventFileVariables(device)
          .map(([key, value]) => `${key}=${value}\n`)
          .join(''),
      store: (device, bytes) => repeatEvent(context, device, bytes),
    },
    {
      name: 'dev',
      mode: 0o444,
      visible: ({ node }) => node !== null,
      show: ({ node }) => `${node?.devt ?? ''}\n`,
    },
    {
      name: 'driver_override',
      mode: 0o644,
      visible: ({ bus }) => bus !== null,
      // What printf makes of a null pointer.
      show: (device) => `${device.driverOverride ?? '(null)'}\n`,
      store: setOverride,
    },
  ]
}

/** uevent_store() of a device @throws Errno EINVAL, which the log explains */
// biome-ignore lint/correctness/useYield: a store is a task
function* repeatEvent(context: KernelContext, device: Device, bytes: Uint8Array): Task<void> {
  try {
    const { action, variables } = syntheticEvent(context, device.path, bytes)
    context.uevents.emit(action, device, variables)
  } catch (error) {
    // dev_err(): the driver, or where there is none the bus or class.
    const speaker = device.driver?.name ?? device.bus?.name ?? device.className ?? ''
    context.log.push(
      `${speaker} ${device.name}: uevent: failed to send synthetic uevent: -22`.trimStart(),
    )
    throw error
  }
}

/** @param path of the object, without /sys @throws Errno EINVAL, which the log explains */
export function syntheticEvent(
  context: KernelContext,
  path: string,
  bytes: Uint8Array,
): SyntheticEvent {
  try {
    return parseSyntheticEvent(bytes)
  } catch (error) {
    if (error instanceof BadEvent) context.log.push(`synth uevent: ${path}: ${error.problem}`)
    throw error
  }
}

/**
 * Up to the first newline; an empty line clears it. Names are not checked: a name of no driver keeps
 * every driver away. Takes no lock, so it works while an unbind waits for users (kernels up to early
 * 2026 took the device's lock).
 */
// biome-ignore lint/correctness/useYield: a store is a task
function* setOverride(device: Device, bytes: Uint8Array): Task<void> {
  if (bytes.length > OVERRIDE_BYTES_MAX) throw new Errno('EINVAL', 'driver_override is too long')
  const [name = ''] = writtenText(bytes).split('\n', 1)
  device.driverOverride = name === '' ? null : name
}
