/**
 * The state that claims change and give back, read anew each time: driver links, overrides, SR-IOV autoprobe
 * and the group's node. A device can go at any moment; one that went while it was read is not present.
 */
import { IsogroupError } from '../base/errors.ts'
import type { LiveGroup, LiveMember } from '../isolation/live-host.ts'
import type { DeviceState, GroupState, NodeState } from '../isolation/transaction/state.ts'
import { type Kernel, KernelError, type KernelView } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'
import { nodePath } from './actions.ts'
import { PCI_DEVICES } from './functions.ts'
import { baseName } from './reading.ts'

/** What printf makes of the null pointer of an override that was never set. */
const NO_OVERRIDE = '(null)'
const GONE = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'ENXIO'])

/** What looking takes: no more than files, their links and their owners. */
export type StateView = KernelView & Pick<Kernel, 'stat'>

/** @throws IsogroupError permission, io: something that must be known cannot be read */
export function readGroupState(kernel: StateView, addresses: readonly string[]): GroupState {
  const devices = addresses.map((address) => readDevice(kernel, address))
  const group = firstOf(devices, ({ address, present }) =>
    present ? groupOf(kernel, address) : null,
  )
  return { group, devices, node: group === null ? null : readNode(kernel, group) }
}

const GROUPS = '/sys/kernel/iommu_groups'

/** From links, and what stat says of a node: neither waits for anybody. @throws IsogroupError permission, io */
export function readGroupsOf(
  kernel: StateView,
  addresses: readonly string[],
): readonly LiveGroup[] {
  const ids = new Set<string>()
  for (const address of addresses) {
    const group = groupOf(kernel, address)
    if (group !== null) ids.add(group)
  }
  return [...ids].map((group) => {
    const names = ask(() => kernel.list(`${GROUPS}/${group}/devices`)) ?? []
    const functions = names.filter((name) => parseAddress(name) !== null).sort()
    const members = functions.map((address) => memberAt(kernel, address))
    return { group, members, node: readNode(kernel, group) }
  })
}

function memberAt(kernel: StateView, address: string): LiveMember {
  const link = ask(() => kernel.link(`${PCI_DEVICES}/${address}/driver`))
  return { address, driver: link === null ? null : baseName(link) }
}

/** Id of the group that a function is in; null when it is in none. @throws IsogroupError */
function groupOf(kernel: StateView, address: string): string | null {
  const link = ask(() => kernel.link(`${PCI_DEVICES}/${address}/iommu_group`))
  return link === null ? null : baseName(link)
}

function readDevice(kernel: StateView, address: string): DeviceState {
  const dir = `${PCI_DEVICES}/${address}`
  if (!kernel.exists(dir)) return absent(address)
  const link = ask(() => kernel.link(`${dir}/driver`))
  const override = ask(() => kernel.text(`${dir}/driver_override`))
  const autoprobe = ask(() => kernel.text(`${dir}/sriov_drivers_autoprobe`))
  // Files that vanished with their device look like files it never had.
  if (!kernel.exists(dir)) return absent(address)
  return {
    address,
    present: true,
    driver: link === null ? null : baseName(link),
    override: overrideIn(override),
    autoprobe: autoprobe === null ? null : autoprobe.trim() !== '0',
  }
}

function absent(address: string): DeviceState {
  return { address, present: false, driver: null, override: null, autoprobe: null }
}

function overrideIn(text: string | null): string | null {
  const value = text?.replace(/\n$/, '') ?? NO_OVERRIDE
  return value === NO_OVERRIDE || value === '' ? null : value
}

function readNode(kernel: StateView, group: string): NodeState | null {
  const status = ask(() => kernel.stat(nodePath(group)))
  if (status === null) return null
  const { uid, gid, mode } = status
  return { uid, gid, mode }
}

/** Null when it is not there. @throws IsogroupError permission, io */
function ask<T>(question: () => T): T | null {
  try {
    return question()
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    if (GONE.has(cause.code)) return null
    const denied = cause.code === 'EACCES' || cause.code === 'EPERM'
    throw new IsogroupError(
      denied ? 'permission' : 'io',
      `cannot ${cause.action} ${cause.path}: ${cause.code}`,
      denied
        ? 'Run it as root.'
        : 'Look at the kernel log: dmesg tells what is wrong with the device.',
      { cause },
    )
  }
}

function firstOf<T, R>(all: readonly T[], find: (one: T) => R | null): R | null {
  for (const one of all) {
    const found = find(one)
    if (found !== null) return found
  }
  return null
}
