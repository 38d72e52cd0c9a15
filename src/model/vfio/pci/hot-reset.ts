/**
 * Hot reset: resetting the bus of a device resets everything on it, so a user may do it only who has all
 * of that (DEVICE_GET_PCI_HOT_RESET_INFO and DEVICE_PCI_HOT_RESET, vfio_pci_core.c).
 */
import { atLeast } from '../../../base/kernel-version.ts'
import { Errno } from '../../errno.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { PciState } from '../../pci/pci-state.ts'
import { resetBusAwake } from './close-reset.ts'
import { hotResetScope } from '../../pci/reset.ts'
import type { IoctlArgument, Process } from '../../process.ts'
import { sizedBuffer } from '../user-buffer.ts'
import { groupOfFile, type VfioGroup } from '../vfio-group.ts'

const HEADER = 12
const ENTRY = 8

/** Devices that have a vfio-pci driver, by device. */
export type VfioMembers = ReadonlyMap<PciDevice, { readonly group: VfioGroup | null }>

/** @throws Errno ENODEV (nothing above the bus that resets it), ENOSPC with the count filled in, EPERM */
export function hotResetInfo(device: PciDevice, argument: IoctlArgument): void {
  const buffer = sizedBuffer(argument, HEADER)
  const room = Math.floor((buffer.u32(0) - HEADER) / ENTRY)
  const reached = scope(device)
  if (room < reached.length) {
    buffer.setU32(4, 0)
    buffer.setU32(8, reached.length)
    throw new Errno('ENOSPC')
  }
  const grouped = reached.map(({ iommuGroup, name, at, devfn }) => {
    if (iommuGroup === null) throw new Errno('EPERM', `${name} is not isolated`)
    return { id: iommuGroup.id, at, devfn }
  })
  buffer.setU32(4, 0)
  buffer.setU32(8, reached.length)
  grouped.forEach(({ id, at, devfn }, index) => {
    const entry = HEADER + index * ENTRY
    buffer.setU32(entry, id)
    buffer.setU32(entry + 4, at.domain | (at.bus << 16) | (devfn << 24))
  })
}

/** @throws Errno EINVAL, ENODEV, EBADF, EAGAIN */
export function hotReset(
  state: PciState,
  device: PciDevice,
  members: VfioMembers,
  argument: IoctlArgument,
  process: Process,
): void {
  const buffer = sizedBuffer(argument, HEADER)
  const count = buffer.u32(8)
  if (buffer.u32(4) !== 0) throw new Errno('EINVAL')
  // Without groups the call belongs to devices opened by themselves; 6.6 looks at that first.
  if (count === 0 && atLeast(state.context.version, 6, 6)) throw new Errno('EINVAL')
  const reached = scope(device)
  if (count === 0 || count > reached.length) throw new Errno('EINVAL', 'a group for each at most')
  const groups = new Set<VfioGroup>()
  for (let n = 0; n < count; n += 1) {
    const group = groupOfFile(process.file(buffer.s32(HEADER + 4 * n)))
    if (group === null) throw new Errno('EINVAL', 'not a group')
    groups.add(group)
  }
  if (reached.some((fn) => !members.has(fn))) {
    throw new Errno('EINVAL', 'not all that the reset reaches is in the hands of vfio-pci')
  }
  for (const fn of reached) {
    const group = members.get(fn)?.group ?? null
    if (group === null || !groups.has(group)) throw new Errno('EINVAL', `${fn.name} is not yours`)
  }
  resetBusAwake(state, device, reached)
}

function scope(device: PciDevice): readonly PciDevice[] {
  const reached = hotResetScope(device)
  if (reached === null) throw new Errno('ENODEV', 'the bus cannot be reset')
  return reached
}
