/**
 * The `power` directory of a device (drivers/base/power/sysfs.c), without the files that tell times or
 * that only concern sleep of the whole system.
 */
import { Errno } from '../errno.ts'
import { type Directory, directory, textFile } from '../sysfs/node.ts'
import { writtenWord } from '../sysfs/written-text.ts'
import type { Task } from '../task.ts'
import type { Device } from './device.ts'
import { allow, forbid, runtimeStatus } from './runtime-power.ts'

export function powerDirectory(device: Device): Directory {
  const { power } = device
  return directory({
    autosuspend_delay_ms: () => ({
      kind: 'file',
      mode: 0o644,
      read: noAutosuspend,
      write: noAutosuspend,
    }),
    control: () => ({
      kind: 'file',
      mode: 0o644,
      read: () => `${power.control}\n`,
      write: (bytes) => setControl(device, bytes),
    }),
    runtime_active_kids: () => textFile(() => `${String(power.activeChildren)}\n`),
    runtime_enabled: () => textFile(() => `${enabledText(device)}\n`),
    runtime_status: () => textFile(() => `${runtimeStatus(power)}\n`),
    // Forbidding is a reference like any other.
    runtime_usage: () =>
      textFile(() => `${String(power.usageCount + (power.control === 'on' ? 1 : 0))}\n`),
  })
}

function enabledText({ power }: Device): string {
  const forbidden = power.control === 'on'
  if (power.enabled) return forbidden ? 'forbidden' : 'enabled'
  return forbidden ? 'disabled & forbidden' : 'disabled'
}

/** No driver here waits a while before its device may sleep (power.use_autosuspend). */
function noAutosuspend(): never {
  throw new Errno('EIO', 'the driver does not use autosuspend')
}

/** control_store(): sleeps while a driver is bound or unbound. */
function setControl(device: Device, bytes: Uint8Array): Task<void> {
  // biome-ignore lint/correctness/useYield: the body of a lock is a task
  return device.lock.with(function* set(): Task<void> {
    const word = writtenWord(bytes)
    if (word === 'auto') allow(device.power)
    else if (word === 'on') forbid(device.power)
    else throw new Errno('EINVAL', `power/control takes "on" and "auto", not "${word}"`)
  })
}
