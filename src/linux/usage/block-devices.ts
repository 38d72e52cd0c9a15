/**
 * Block devices and what stands on what: a file system is seldom mounted from the disk itself.
 *
 *     nvme0n1 -> nvme0n1p3 -> dm-0 (LUKS) -> dm-1 (LVM) -> / is mounted from it
 *
 * sysfs has every edge: partitions are directories in their disk, `holders` are links to what a stacking
 * driver built on a device (block/holder.c, bd_link_disk_holder: dm, md, bcache, drbd). Three edges are
 * elsewhere: the paths of a multipath NVMe disk are known by name only, a loop device names the file behind
 * it, and the SSD of a bcache has no holder but a directory.
 */
import { type Fact, known } from '../../base/fact.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readLink, readList, readText } from '../reading.ts'

export interface BlockDevice {
  /** "nvme0n1p3" */
  readonly name: string
  /** "259:3" */
  readonly number: string
  /** Where it is: "../../devices/pci0000:00/0000:02:00.0/nvme/nvme0/nvme0n1". */
  readonly path: string
  /** What stands directly on it: partitions, disks of a multipath, and holders. */
  readonly above: readonly BlockEdge[]
  /** "vg-root, LVM" for dm; "raid1" for md; else empty. */
  readonly label: string
  /** Name below /dev/mapper; null for what is not of dm. */
  readonly mapperName: string | null
  /** File behind a loop device; null for others. */
  readonly backingFile: string | null
}

export interface BlockEdge {
  readonly name: string
  /** `holder`: another driver holds the device below; `part`: the same disk by another name. */
  readonly kind: 'holder' | 'part'
}

export type BlockDevices = ReadonlyMap<string, BlockDevice>

const CLASS = '/sys/class/block'

export function readBlockDevices(kernel: KernelView): Fact<BlockDevices> {
  const names = readList(kernel, CLASS)
  if (!names.known) return names
  const paths = new Map<string, string>()
  for (const name of [...(names.value ?? [])].sort()) {
    const link = readLink(kernel, `${CLASS}/${name}`)
    if (!link.known) return link
    if (link.value !== null) paths.set(name, link.value)
  }
  const parts = partsByDisk(paths)
  const devices = new Map<string, BlockDevice>()
  for (const [name, path] of paths) {
    const device = readDevice(kernel, name, path, parts.get(name) ?? [])
    if (!device.known) return device
    devices.set(name, device.value)
  }
  return known(devices)
}

/** "nvme0c1n1" is the way of controller 1 to nvme0n1 (drivers/nvme/host/multipath.c). */
const ONE_PATH = /^(nvme\d+)c\d+(n\d+)$/

function partsByDisk(paths: ReadonlyMap<string, string>): ReadonlyMap<string, readonly string[]> {
  const parts = new Map<string, string[]>()
  const add = (disk: string, part: string): void => {
    parts.set(disk, [...(parts.get(disk) ?? []), part])
  }
  for (const [name, path] of paths) {
    const above = path.split('/').at(-2) ?? ''
    if (paths.has(above)) add(above, name)
    const head = name.replace(ONE_PATH, '$1$2')
    if (head !== name && paths.has(head)) add(name, head)
  }
  return parts
}

function readDevice(
  kernel: KernelView,
  name: string,
  path: string,
  parts: readonly string[],
): Fact<BlockDevice> {
  const dir = `${CLASS}/${name}`
  const number = readText(kernel, `${dir}/dev`)
  if (!number.known) return number
  const holders = readList(kernel, `${dir}/holders`)
  if (!holders.known) return holders
  const mapper = name.startsWith('dm-') ? readText(kernel, `${dir}/dm/name`) : NONE
  const file = name.startsWith('loop') ? readText(kernel, `${dir}/loop/backing_file`) : NONE
  if (!mapper.known) return mapper
  if (!file.known) return file
  const above: BlockEdge[] = parts.map((part) => ({ name: part, kind: 'part' }))
  for (const holder of holders.value ?? []) above.push({ name: holder, kind: 'holder' })
  if (kernel.exists(`${dir}/bcache/set`)) above.push({ name: 'bcache', kind: 'holder' })
  return known({
    name,
    number: number.value ?? '',
    path,
    above,
    label: readLabel(kernel, name, mapper.value),
    mapperName: mapper.value,
    backingFile: file.value,
  })
}

const NONE: Fact<string | null> = known(null)

/** Prefixes of /sys/class/block/dm-N/dm/uuid by who made the device. */
const MAPPER_KINDS: readonly (readonly [string, string])[] = [
  ['LVM-', 'LVM'],
  ['CRYPT-', 'encrypted'],
  ['mpath-', 'multipath'],
  ['DMRAID-', 'RAID'],
]

/** Only shown, so what cannot be read is left out. */
function readLabel(kernel: KernelView, name: string, mapperName: string | null): string {
  const dir = `${CLASS}/${name}`
  if (mapperName !== null) {
    const uuid = readText(kernel, `${dir}/dm/uuid`)
    const text = uuid.known ? (uuid.value ?? '') : ''
    const kind = MAPPER_KINDS.find(([prefix]) => text.startsWith(prefix))?.[1]
    return kind === undefined ? mapperName : `${mapperName}, ${kind}`
  }
  if (!name.startsWith('md')) return ''
  const level = readText(kernel, `${dir}/md/level`)
  return level.known ? (level.value ?? '') : ''
}
