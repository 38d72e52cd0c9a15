/**
 * Actions as writes to sysfs: the only place that changes a host.
 *
 *     set-override   devices/<address>/driver_override          "vfio-pci\n"; "\n" clears it, nothing does not
 *     unbind         drivers/<driver>/unbind                    "<address>\n"; ENODEV when another driver has it
 *     probe, offer   drivers_probe                              "<address>\n"; success only says: was asked
 *     set-autoprobe  devices/<address>/sriov_drivers_autoprobe  "0\n", "1\n"
 *     set-node       /dev/vfio/<group>                          chown, chmod
 *
 * new_id is never used: it probes every unbound device of the bus that matches (drivers/pci/pci-driver.c).
 * Names come from journals too, so they are checked: what is no address, driver or number reaches no path.
 */
import { encodeUtf8 } from '../base/utf8.ts'
import type { Write } from '../isolation/live-host.ts'
import { type Action, ActionError } from '../isolation/transaction/action.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'

const PCI = '/sys/bus/pci'
/** The kernel keeps what fits in a page with newline and zero (driver_set_override, drivers/base/driver.c). */
const OVERRIDE_CHARACTERS_MAX = 4094
/** Largest id of a user; the one above means "leave it" to chown(2). */
const ID_MAX = 0xffff_fffe
const MODE_MAX = 0o7777

/** @throws ActionError EINVAL: the action names something that cannot be */
export function writesOf(action: Action): readonly Write[] {
  check(action)
  switch (action.kind) {
    case 'set-override':
      return [
        {
          path: `${PCI}/devices/${action.address}/driver_override`,
          text: `${action.driver ?? ''}\n`,
        },
      ]
    case 'unbind':
      return [{ path: `${PCI}/drivers/${action.driver}/unbind`, text: `${action.address}\n` }]
    case 'probe':
    case 'offer':
      return [{ path: `${PCI}/drivers_probe`, text: `${action.address}\n` }]
    case 'set-autoprobe':
      return [
        {
          path: `${PCI}/devices/${action.address}/sriov_drivers_autoprobe`,
          text: action.on ? '1\n' : '0\n',
        },
      ]
    case 'set-node': {
      const path = nodePath(action.group)
      return [
        { path, text: `chown ${String(action.uid)}:${String(action.gid)}` },
        { path, text: `chmod ${action.mode.toString(8)}` },
      ]
    }
  }
}

/** The node of a group. */
export function nodePath(group: string): string {
  return `/dev/vfio/${group}`
}

/** @param deadline milliseconds @throws ActionError errno, or ETIMEDOUT: it may still happen */
export async function perform(kernel: Kernel, action: Action, deadline: number): Promise<void> {
  const writes = writesOf(action)
  try {
    if (action.kind === 'set-node') {
      const path = nodePath(action.group)
      await kernel.setOwner(path, action.uid, action.gid)
      await kernel.setMode(path, action.mode)
      return
    }
    for (const { path, text } of writes) await kernel.write(path, encodeUtf8(text), deadline)
  } catch (cause) {
    throw cause instanceof KernelError ? new ActionError(action, cause.code) : cause
  }
}

function check(action: Action): void {
  const isSane =
    action.kind === 'set-node'
      ? /^\d{1,9}$/.test(action.group) &&
        isUpTo(action.uid, ID_MAX) &&
        isUpTo(action.gid, ID_MAX) &&
        isUpTo(action.mode, MODE_MAX)
      : parseAddress(action.address) !== null && isDriver(action)
  if (!isSane) throw new ActionError(action, 'EINVAL')
}

function isUpTo(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max
}

/** A driver is a name in a directory; an override is only compared, so it may be any one line. */
function isDriver(action: Exclude<Action, { kind: 'set-node' }>): boolean {
  switch (action.kind) {
    case 'offer':
    case 'set-autoprobe':
      return true
    case 'set-override':
      return action.driver === null || isLine(action.driver)
    case 'probe':
    case 'unbind':
      return isLine(action.driver) && !action.driver.includes('/') && !/^\.\.?$/.test(action.driver)
  }
}

/** What the kernel gives back as it was written: it ends a value at the first newline or zero. */
function isLine(text: string): boolean {
  return text !== '' && text.length <= OVERRIDE_CHARACTERS_MAX && !/[\n\0]/.test(text)
}
