/**
 * What stays the same about a device when buses are renumbered, drivers change and groups get other numbers:
 * its ids, and the way to it.
 *
 *     /sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0                    "00/01.0/00.0"
 *     /sys/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0       "00/0e.0/10000:e0/06.0"
 *
 * Of a root bus the number is kept, with its domain where that is not 0: firmware fixes it, and nothing else
 * tells one root bus from another.
 */
import type { DeviceIdentity } from '../isolation/live-host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'
import { PCI_DEVICES } from './functions.ts'
import { readLink, readText, required } from './reading.ts'

const UNREAD = '?'

/** Of the functions that are there, in the order asked for; what cannot be read is "?" */
export function readIdentities(
  kernel: KernelView,
  addresses: readonly string[],
): readonly DeviceIdentity[] {
  return addresses.flatMap((address) => {
    const link = readLink(kernel, `${PCI_DEVICES}/${address}`)
    if (link.known && link.value === null) return []
    const path = link.known ? pathOf(link.value ?? '') : UNREAD
    return [{ address, ids: readIds(kernel, address), path }]
  })
}

function readIds(kernel: KernelView, address: string): string {
  const id = (name: string): string => {
    const path = `${PCI_DEVICES}/${address}/${name}`
    const text = required(readText(kernel, path), path)
    return text.known ? text.value.replace(/^0x/, '') : UNREAD
  }
  const subsystem = `${id('subsystem_vendor')}:${id('subsystem_device')}`
  return `${id('vendor')}:${id('device')} ${subsystem} ${id('class')}`
}

/** @param link "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0" */
function pathOf(link: string): string {
  const parts = link.split('/')
  const steps = parts.flatMap((part) => {
    const root = /^pci([0-9a-f]{4,8}):([0-9a-f]{2})$/.exec(part)
    if (root !== null) return [rootName(root[1] ?? '', root[2] ?? '')]
    return parseAddress(part) === null ? [] : [part.slice(part.lastIndexOf(':') + 1)]
  })
  return steps.join('/')
}

function rootName(domain: string, bus: string): string {
  return /^0+$/.test(domain) ? bus : `${domain}:${bus}`
}
