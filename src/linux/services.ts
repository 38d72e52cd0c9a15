/**
 * What the host uses its devices for: every class device (network interface, block device, screen,
 * sound card ...) is a link whose text passes the PCI function it belongs to.
 *
 *     /sys/class/net/eth0 -> ../../devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth0
 *     /sys/class/block/sda -> ../../devices/pci0000:00/0000:00:17.0/ata1/host0/.../block/sda
 *
 * The last PCI address in it is the owner, so disks behind controllers and keyboards behind USB hosts
 * are found the same way.
 */
import { type Fact, known } from '../base/fact.ts'
import type { HostService } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'
import { readLink, readList } from './reading.ts'

const CLASSES: readonly (readonly [string, HostService['kind']])[] = [
  ['net', 'net'],
  ['block', 'block'],
  ['nvme', 'nvme'],
  ['drm', 'drm'],
  ['graphics', 'framebuffer'],
  ['input', 'input'],
  ['sound', 'sound'],
  ['infiniband', 'infiniband'],
  ['tty', 'tty'],
  ['tpm', 'other'],
]

/** Names that only repeat what another class device of the same function says. */
const NOISE =
  /^(?:event\d|js\d|mouse\d|mice$|pcm|control|hw|midi|seq|timer|renderD|version$|fbcon$)/

/**
 * One path of a disk with several: "nvme0c1n1" is the way of controller 1 to nvme0n1, which itself hangs
 * below no PCI function (drivers/nvme/host/multipath.c, nvme_mpath_set_disk_name).
 */
const HIDDEN_PATH = /^(nvme\d+)c\d+(n\d+)$/

export type ServicesByFunction = ReadonlyMap<string, readonly HostService[]>

/** Unknown when a class that exists cannot be listed: an unseen network interface is not an absent one. */
export function readServices(kernel: KernelView): Fact<ServicesByFunction> {
  const services = new Map<string, HostService[]>()
  for (const [dir, kind] of CLASSES) {
    const names = readList(kernel, `/sys/class/${dir}`)
    if (!names.known) return names
    for (const entry of [...(names.value ?? [])].sort()) {
      if (NOISE.test(entry)) continue
      const link = readLink(kernel, `/sys/class/${dir}/${entry}`)
      const owner = link.known && link.value !== null ? ownerIn(link.value) : null
      if (owner === null) continue
      const name = entry.replace(HIDDEN_PATH, '$1$2')
      const list = services.get(owner)
      if (list === undefined) services.set(owner, [{ kind, name }])
      else list.push({ kind, name })
    }
  }
  return known(services)
}

function ownerIn(link: string): string | null {
  return link.split('/').findLast((part) => parseAddress(part) !== null) ?? null
}
