/** The `power` directory of a device (drivers/base/power/sysfs.c). */
import { Errno } from '../errno.ts'
import { type Directory, directory, textFile } from '../sysfs/node.ts'
import type { Task } from '../task.ts'
import { firstLine } from './core-attributes.ts'
import type { Device } from './device.ts'
import { allow, forbid, runtimeStatus } from './runtime-power.ts'

export function powerDirectory(device: Device): Directory {
  const { power } = device
  return directory({
    control: () => ({
      kind: 'file',
      mode: 0o644,
      read: () => `${power.control}\n`,
      write: (bytes) => setControl(device, bytes),
    }),
    runtime_status: () => textFile(() => `${runtimeStatus(power)}\n`),
    runtime_usage: () => textFile(() => `${String(power.usageCount)}\n`),
    runtime_enabled: () => textFile(() => `${enabledText(device)}\n`),
    runtime_active_kids: () => textFile(() => `${String(power.activeChildren)}\n`),
  })
}

function enabledText({ power }: Device): string {
  if (!power.enabled) return 'disabled'
  return power.control === 'on' ? 'forbidden' : 'enabled'
}

/** control_store(): the whole word, a newline after it is fine. */
// biome-ignore lint/correctness/useYield: a store is a task
function* setControl({ power }: Device, bytes: Uint8Array): Task<void> {
  const word = firstLine(bytes)
  if (word === 'auto') allow(power)
  else if (word === 'on') forbid(power)
  else throw new Errno('EINVAL', `power/control takes "on" and "auto", not "${word}"`)
}
