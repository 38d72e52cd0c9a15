/** The files `reset` and `reset_method` (drivers/pci/pci-sysfs.c, reset_method_store in pci.c). */
import { atLeast } from '../../base/kernel-version.ts'
import type { Attribute } from '../driver-core/device.ts'
import { resume, suspendIfIdle } from '../driver-core/runtime-power.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import { parseUnsigned, textOf } from './kernel-numbers.ts'
import type { PciDevice } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'
import { initResetMethods, RESET_METHODS, supportsReset } from './reset-methods.ts'
import { resetFunction } from './reset.ts'

export function resetAttributes(state: PciState): readonly Attribute<PciDevice>[] {
  return [
    {
      name: 'reset',
      mode: 0o200,
      visible: ({ resettable }) => resettable,
      *store(device, bytes): Task<void> {
        if (parseUnsigned(bytes) !== 1) throw new Errno('EINVAL', 'only 1 resets')
        resume(device.power)
        try {
          yield* resetFunction(state, device)
        } finally {
          suspendIfIdle(device.power)
        }
      },
    },
    {
      name: 'reset_method',
      mode: 0o644,
      // The file came with 5.15.
      visible: ({ resettable }) => resettable && atLeast(state.context.version, 5, 15),
      show: ({ resetMethods }) => (resetMethods.length === 0 ? '' : `${resetMethods.join(' ')}\n`),
      // biome-ignore lint/correctness/useYield: a store is a task
      *store(device, bytes): Task<void> {
        chooseMethods(state, device, textOf(bytes).replace(/\0.*/s, ''))
      },
    },
  ]
}

/** A list of methods, "default", or nothing: then the function cannot be reset any more. */
function chooseMethods(state: PciState, device: PciDevice, text: string): void {
  const value = text.replace(/\n$/, '')
  if (value === '') {
    device.resetMethods = []
    logDevice(state, device, 'All device reset methods disabled by user')
    return
  }
  if (value === 'default') {
    initResetMethods(state, device)
    return
  }
  const chosen: string[] = []
  for (const word of text.split(' ')) {
    const name = word.trim()
    if (name === '') continue
    const method = RESET_METHODS.find((known) => known === name)
    if (method === undefined) fail(state, device, `Invalid reset method '${name}'`)
    if (!supportsReset(state, device, method)) {
      fail(state, device, `Unsupported reset method '${name}'`)
    }
    if (chosen.length === RESET_METHODS.length) fail(state, device, 'Too many reset methods')
    chosen.push(method)
  }
  if (supportsReset(state, device, 'device_specific') && chosen[0] !== 'device_specific') {
    logDevice(state, device, 'Device-specific reset disabled/de-prioritized by user')
  }
  device.resetMethods = chosen
}

function fail(state: PciState, device: PciDevice, text: string): never {
  logDevice(state, device, text)
  throw new Errno('EINVAL', text)
}
