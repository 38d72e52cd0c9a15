/** The sriov_* files of physical functions (drivers/pci/iov.c). */
import type { Attribute } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { Task } from '../task.ts'
import { parseBoolean, parseUnsigned } from './kernel-numbers.ts'
import type { PciDevice, SriovState } from './pci-device.ts'
import { logDevice, type PciState } from './pci-state.ts'
import { vfNumbers } from './sriov-capability.ts'

const VFS_MAX = 0xffff

export function sriovAttributes(state: PciState): readonly Attribute<PciDevice>[] {
  return [
    shown('sriov_totalvfs', (_device, { totalVfs }) => String(totalVfs)),
    {
      ...shown('sriov_numvfs', (_device, { numVfs }) => String(numVfs)),
      mode: 0o644,
      store: (device, bytes) => storeNumVfs(state, device, bytes),
    },
    shown('sriov_offset', (device, { capability }) => String(vfNumbers(device, capability).offset)),
    shown('sriov_stride', (device, { capability }) => String(vfNumbers(device, capability).stride)),
    shown('sriov_vf_device', (_device, { vfDevice }) => vfDevice.toString(16)),
    {
      ...shown('sriov_drivers_autoprobe', (_device, { autoprobe }) => (autoprobe ? '1' : '0')),
      mode: 0o644,
      // biome-ignore lint/correctness/useYield: a store is a task
      *store({ sriov }, bytes): Task<void> {
        const value = parseBoolean(bytes)
        if (value === null || sriov === null) throw new Errno('EINVAL', 'not a boolean')
        sriov.autoprobe = value
      },
    },
    // No driver of the model hands out vectors.
    shown('sriov_vf_total_msix', () => '0'),
  ]
}

function shown(
  name: string,
  show: (device: PciDevice, sriov: SriovState) => string,
): Attribute<PciDevice> {
  return {
    name,
    mode: 0o444,
    visible: ({ sriov }) => sriov !== null,
    show: (device) => (device.sriov === null ? '' : `${show(device, device.sriov)}\n`),
  }
}

/**
 * sriov_numvfs_store(). The rescan/remove lock is taken before the device's own, as everywhere else:
 * drivers that remove virtual functions here must not meet a removal that is under way.
 * @throws Errno EINVAL, ERANGE (more than there are), ENOENT (no driver, or one that cannot), EBUSY (some
 *   are enabled), and the driver's own
 */
function* storeNumVfs(state: PciState, device: PciDevice, bytes: Uint8Array): Task<void> {
  const count = parseUnsigned(bytes)
  const { sriov } = device
  if (count === null || count > VFS_MAX || sriov === null) throw new Errno('EINVAL', 'not a number')
  if (count > sriov.totalVfs) throw new Errno('ERANGE', `there are ${String(sriov.totalVfs)}`)
  yield* state.rescanRemoveLock.with(() =>
    device.lock.with(() => changeNumVfs(state, device, sriov, count)),
  )
}

function* changeNumVfs(
  state: PciState,
  device: PciDevice,
  sriov: SriovState,
  count: number,
): Task<void> {
  if (count === sriov.numVfs) return
  const { driver } = device
  if (driver === null) {
    logDevice(state, device, 'no driver bound to device; cannot configure SR-IOV')
    throw new Errno('ENOENT', `${device.name} has no driver`)
  }
  if (driver.sriovConfigure === undefined) {
    logDevice(state, device, 'driver does not support SR-IOV configuration via sysfs')
    throw new Errno('ENOENT', `${driver.name} does not make virtual functions`)
  }
  if (count !== 0 && sriov.numVfs !== 0) {
    const text = `${String(sriov.numVfs)} VFs already enabled. Disable before enabling ${String(count)} VFs`
    logDevice(state, device, text)
    throw new Errno('EBUSY', text)
  }
  yield* driver.sriovConfigure(device, count)
}
