/**
 * What class devices show beyond their class: numbers of disks, who holds them, flags of network interfaces
 * and what they carry. All of it comes from the host's uses (machine/host-uses.ts).
 */
import type { KernelContext } from '../context.ts'
import type { Attribute, Device } from '../driver-core/device.ts'
import { blockNumber, type HostUses } from '../machine/host-uses.ts'
import { type Directory, type Node, relativeLink } from '../sysfs/node.ts'

/** Adds files, links and directories to a class device that is not registered yet. */
export function dress(context: KernelContext, uses: HostUses, device: Device): void {
  if (device.className === 'block') dressBlock(context, uses, device)
  else if (device.className === 'net') dressInterface(uses, device)
}

/** @param uses of the host */
function dressBlock(context: KernelContext, uses: HostUses, device: Device): void {
  const { name } = device
  device.attributes.push([constant('dev', `${blockNumber(name)}\n`)])
  const holders = (): readonly string[] =>
    uses.holders.filter(({ on }) => on.includes(name)).map((holder) => holder.name)
  const slaves = (): readonly string[] =>
    uses.holders.find((holder) => holder.name === name)?.on ?? []
  device.directories.set('holders', () => linksTo(context, `${device.path}/holders`, holders()))
  // Partitions stand on nothing but their disk.
  if (device.parent?.className === 'block') return
  device.directories.set('slaves', () => linksTo(context, `${device.path}/slaves`, slaves()))
}

/** Links to block devices that are there. */
function linksTo(context: KernelContext, from: string, names: readonly string[]): Directory {
  const blocks = context.devices.ofClass('block')
  return {
    kind: 'directory',
    list: () => names.filter((name) => blocks.has(name)),
    find: (name): Node | undefined => {
      const target = names.includes(name) ? blocks.get(name) : undefined
      return target === undefined ? undefined : relativeLink(from, target.path)
    },
  }
}

/** IFF_BROADCAST | IFF_MULTICAST, and IFF_UP (include/uapi/linux/if.h). */
const DOWN = '0x1002\n'
const UP = '0x1003\n'

function dressInterface(uses: HostUses, device: Device): void {
  const { name } = device
  const bridge = uses.bridges.find(({ ports }) => ports.includes(name))
  const isUp =
    bridge !== undefined ||
    uses.bridges.some((one) => one.name === name) ||
    uses.interfaces.some((one) => one.name === name)
  device.attributes.push([
    constant('flags', isUp ? UP : DOWN),
    constant('operstate', isUp ? 'up\n' : 'down\n'),
  ])
  if (bridge === undefined) return
  const target = `/devices/virtual/net/${bridge.name}`
  device.links.set('master', relativeLink(device.path, target))
  device.links.set(`upper_${bridge.name}`, relativeLink(device.path, target))
}

export function constant(name: string, text: string): Attribute {
  return { name, mode: 0o444, show: () => text }
}
