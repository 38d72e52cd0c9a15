/**
 * Files that the driver core itself gives a device: `uevent`, and on buses that have it
 * `driver_override` (drivers/base/core.c, driver_set_override() in drivers/base/driver.c).
 */
import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import type { Attribute, Device } from './device.ts'
import { type UeventAction, ueventFileVariables } from './uevents.ts'

/** A page, less one byte for the newline that is shown and one for the terminating zero. */
const OVERRIDE_BYTES_MAX = 4094

const ACTIONS: readonly UeventAction[] = [
  'add',
  'remove',
  'change',
  'move',
  'online',
  'offline',
  'bind',
  'unbind',
]

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
      store: (device, bytes) => synthesize(context, device, bytes),
    },
    {
      name: 'driver_override',
      mode: 0o644,
      visible: (device) => device.bus !== null && device.bus.name !== 'acpi',
      // What printf makes of a null pointer.
      show: (device) => `${device.driverOverride ?? '(null)'}\n`,
      store: setOverride,
    },
  ]
}

/** Writing an action sends the event again, marked as made up (kobject_synth_uevent). */
// biome-ignore lint/correctness/useYield: a store is a task
function* synthesize(context: KernelContext, device: Device, bytes: Uint8Array): Task<void> {
  const [word = '', ...rest] = firstLine(bytes).split(' ')
  const action = ACTIONS.find((known) => known === word)
  if (action === undefined) throw new Errno('EINVAL', `${device.name}: no action "${word}"`)
  const uuid = rest[0] ?? '0'
  context.uevents.emit(action, device, [['SYNTH_UUID', uuid]])
}

/**
 * Up to the first newline; an empty line clears it. Names are not checked: a name of no driver keeps
 * every driver away.
 */
// biome-ignore lint/correctness/useYield: a store is a task
function* setOverride(device: Device, bytes: Uint8Array): Task<void> {
  if (bytes.length > OVERRIDE_BYTES_MAX) throw new Errno('EINVAL', 'driver_override is too long')
  const name = firstLine(bytes)
  device.driverOverride = name === '' ? null : name
}

/** Text up to a newline or a zero byte. */
export function firstLine(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    if (byte === 0x0a || byte === 0) break
    text += String.fromCharCode(byte)
  }
  return text
}
