/** Files of a bus in /sys/class/pci_bus (drivers/pci/pci-sysfs.c). */
import type { Attribute } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import { rescan } from './hot-plug.ts'
import { parseUnsigned } from './kernel-numbers.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciState } from './pci-state.ts'

export function busAttributes(state: PciState, bus: PciBus): readonly Attribute[] {
  return [
    {
      name: 'rescan',
      mode: 0o220,
      store: (_device, bytes) => rescanIfAsked(state, () => [bus], bytes),
    },
  ]
}

/** The `rescan` files: 0 does nothing, any other number scans. @throws Errno EINVAL */
export function* rescanIfAsked(
  state: PciState,
  buses: () => readonly PciBus[],
  bytes: Uint8Array,
): Task<void> {
  const value = parseUnsigned(bytes)
  if (value === null) throw new Errno('EINVAL', 'not a number')
  if (value === 0) return
  yield* state.rescanRemoveLock.with(function* scan(): Task<void> {
    for (const bus of buses()) yield* rescan(state, bus)
  })
}
