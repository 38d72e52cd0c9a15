/** Devices without hardware that an administrator made over others: mapped disks and network bridges. */
import { addDevice } from '../driver-core/add-device.ts'
import { Device } from '../driver-core/device.ts'
import { constant, dress } from '../drivers/class-dress.ts'
import { directory, textFile } from '../sysfs/node.ts'
import type { Task } from '../task.ts'
import { NO_USES } from './host-uses.ts'
import type { KernelParts } from './kernel-parts.ts'

/** Last at boot: what they stand on is there by then. */
export function* addVirtualDevices({ context, machine }: KernelParts): Task<void> {
  const uses = machine.uses ?? NO_USES
  for (const { name, mapperName } of uses.holders) {
    const device = virtualDevice('block', name)
    device.directories.set('dm', () =>
      directory({
        name: () => textFile(() => `${mapperName}\n`),
        uuid: () => textFile(() => `LVM-${mapperName}\n`),
      }),
    )
    dress(context, uses, device)
    yield* addDevice(context, device)
  }
  for (const { name, ports } of uses.bridges) {
    const device = virtualDevice('net', name)
    device.attributes.push([constant('type', '1\n'), constant('mtu', '1500\n')])
    device.directories.set('bridge', () => directory({ stp_state: () => textFile(() => '0\n') }))
    device.directories.set('brif', () =>
      directory(Object.fromEntries(ports.map((port) => [port, () => directory({})]))),
    )
    dress(context, uses, device)
    yield* addDevice(context, device)
  }
}

function virtualDevice(className: string, name: string): Device {
  const root = `/devices/virtual/${className}`
  return new Device({ name, parent: null, bus: null, className, root })
}
