/**
 * Uses by block device: what is mounted from it, swapped to it, or imported as a pool, wherever the kernel
 * tells it. What stands on what (block-devices.ts) then leads from these to a disk.
 *
 * Mounts say device numbers, but several file systems are not on one device: btrfs and ZFS have numbers of
 * their own, and name one device or none. A file (swap, loop) is on the device of the mount it lies in.
 */
import { type Fact, known } from '../../base/fact.ts'
import type { DiskUse } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { baseName, readLink, readList, readText } from '../reading.ts'
import type { BlockDevices } from './block-devices.ts'
import { type Mount, type Mounts, readMounts, unescaped } from './mounts.ts'
import { readPools } from './pools.ts'

export interface BlockUse {
  readonly use: DiskUse['use']
  readonly detail: string
}

export interface DiskUses {
  /** By name of the block device. */
  readonly uses: ReadonlyMap<string, readonly BlockUse[]>
  /** Loop devices by the device that their file lies on. */
  readonly loops: ReadonlyMap<string, readonly string[]>
  /** Why there may be more; null when all were seen. */
  readonly incomplete: string | null
}

export function readDiskUses(kernel: KernelView, devices: BlockDevices): Fact<DiskUses> {
  const mounts = readMounts(kernel)
  if (!mounts.known) return mounts
  const swaps = readText(kernel, '/proc/swaps')
  if (!swaps.known) return swaps
  const pools = readPools(kernel, devices)
  if (!pools.known) return pools
  const names = deviceNames(devices)
  const found = new Map<string, BlockUse[]>()
  const add = (name: string, use: BlockUse): void => {
    const uses = found.get(name) ?? []
    if (!uses.some((one) => one.use === use.use && one.detail === use.detail)) uses.push(use)
    found.set(name, uses)
  }
  for (const mount of mounts.value.mounts) {
    const use = { use: useOf(mount), detail: detailOf(mount) }
    for (const name of devicesOf(kernel, mount, names)) add(name, use)
  }
  for (const [name, detail] of seenByDrivers(kernel, devices)) {
    const isKnown = found.get(name)?.some(({ use }) => use !== 'open') ?? false
    if (!isKnown) add(name, { use: 'open', detail })
  }
  const unseen = mounts.value.incomplete
  let incomplete = unseen === null ? null : `mounts of other programs: ${unseen}`
  for (const area of swapAreas(swaps.value ?? '')) {
    const below = belowSwap(kernel, area, mounts.value, names)
    if (below.size === 0 && area.isDevice)
      incomplete ??= `swap is on ${area.path}, which is no block device here`
    for (const name of below) add(name, { use: 'swap', detail: area.path })
  }
  for (const { name, pool } of pools.value) add(name, { use: 'zfs', detail: pool })
  return known({
    uses: found,
    loops: loopsBelow(kernel, devices, mounts.value, names),
    incomplete,
  })
}

/** Ways in which mounts and swaps name a block device. */
interface DeviceNames {
  readonly byNumber: ReadonlyMap<string, string>
  readonly byMapperName: ReadonlyMap<string, string>
  readonly has: (name: string) => boolean
}

function deviceNames(devices: BlockDevices): DeviceNames {
  const all = [...devices.values()]
  return {
    byNumber: new Map(all.map(({ number, name }) => [number, name])),
    byMapperName: new Map(
      all.flatMap(({ mapperName, name }) => (mapperName === null ? [] : [[mapperName, name]])),
    ),
    has: (name) => devices.has(name),
  }
}

const LINKS_MAX = 8
/** What the kernel adds to the path of a file that is gone (fs/d_path.c). */
const DELETED = / \(deleted\)$/

/** The block device that a path below /dev means; null when it means none. */
function resolve(kernel: KernelView, path: string, names: DeviceNames): string | null {
  let at = path
  for (let i = 0; i < LINKS_MAX && at.startsWith('/dev/'); i++) {
    const name = baseName(at)
    const mapped = at.startsWith('/dev/mapper/') ? names.byMapperName.get(name) : undefined
    if (mapped !== undefined) return mapped
    if (names.has(name)) return name
    const link = readLink(kernel, at)
    if (!link.known || link.value === null) return null
    at = link.value.startsWith('/') ? link.value : `/dev/${baseName(link.value)}`
  }
  return null
}

/** All block devices that a mounted file system is on. */
function devicesOf(kernel: KernelView, mount: Mount, names: DeviceNames): ReadonlySet<string> {
  const found = new Set<string>()
  const direct = names.byNumber.get(mount.number)
  if (direct !== undefined) found.add(direct)
  // bcachefs names all of its devices, xfs its log and its real-time device.
  const more = /(?:^|,)(?:logdev|rtdev|journal_path)=([^,]+)/g
  const others = [...mount.options.matchAll(more)].map(([, path = '']) => path)
  for (const path of [...mount.source.split(':'), ...others]) {
    const name = path.startsWith('/dev/') ? resolve(kernel, path, names) : null
    if (name !== null) found.add(name)
  }
  if (mount.type === 'btrfs') {
    for (const mates of btrfsDevices(kernel)) {
      if (mates.some((name) => found.has(name))) for (const name of mates) found.add(name)
    }
  }
  return found
}

/** The devices of every mounted btrfs: /sys/fs/btrfs/UUID/devices/ (fs/btrfs/sysfs.c). */
function btrfsDevices(kernel: KernelView): readonly (readonly string[])[] {
  const all = readList(kernel, '/sys/fs/btrfs')
  return (all.known ? (all.value ?? []) : []).flatMap((uuid) => {
    const devices = readList(kernel, `/sys/fs/btrfs/${uuid}/devices`)
    return devices.known && devices.value !== null ? [devices.value] : []
  })
}

/** Mounted file systems of these types have a directory named after their device, wherever they are mounted. */
const TYPES = ['ext4', 'xfs', 'f2fs', 'jfs', 'erofs', 'nilfs2']

function* seenByDrivers(
  kernel: KernelView,
  devices: BlockDevices,
): Generator<readonly [name: string, detail: string]> {
  for (const type of TYPES) {
    const names = readList(kernel, `/sys/fs/${type}`)
    for (const name of names.known ? (names.value ?? []) : []) {
      if (devices.has(name)) yield [name, `${type}, mounted where it cannot be seen from here`]
    }
  }
  for (const mates of btrfsDevices(kernel)) {
    for (const name of mates) yield [name, 'btrfs, mounted where it cannot be seen from here']
  }
}

const ROOT: ReadonlySet<string> = new Set(['/', '/usr'])
const BOOT: ReadonlySet<string> = new Set(['/boot', '/boot/efi', '/boot/firmware', '/efi'])

function useOf({ at, seenBy }: Mount): 'root' | 'boot' | 'mount' {
  if (seenBy !== null) return 'mount'
  if (ROOT.has(at)) return 'root'
  return BOOT.has(at) ? 'boot' : 'mount'
}

function detailOf({ at, seenBy }: Mount): string {
  return seenBy === null ? at : `${at} (seen by ${seenBy})`
}

interface SwapArea {
  /** As the program that switched it on sees it: in a container, or below another root, it is not ours. */
  readonly path: string
  readonly isDevice: boolean
}

/** Lines below the heading: path with blanks as \040, "partition" or "file", ... (mm/swapfile.c, swap_show). */
function swapAreas(text: string): readonly SwapArea[] {
  return text
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [path = '', type = ''] = line.split(/\s+/)
      if (path === '') return []
      return [{ path: unescaped(path).replace(DELETED, ''), isDevice: type === 'partition' }]
    })
}

function belowSwap(
  kernel: KernelView,
  { path, isDevice }: SwapArea,
  mounts: Mounts,
  names: DeviceNames,
): ReadonlySet<string> {
  if (!isDevice) return onWhich(kernel, path, mounts, names)
  const device = resolve(kernel, path, names) ?? baseName(path)
  return names.has(device) ? new Set([device]) : new Set()
}

/** The devices that a path is or lies on. */
function onWhich(
  kernel: KernelView,
  path: string,
  mounts: Mounts,
  names: DeviceNames,
): ReadonlySet<string> {
  const device = resolve(kernel, path, names)
  if (device !== null) return new Set([device])
  let best: Mount | null = null
  for (const mount of mounts.mounts) {
    if (mount.seenBy !== null || !isWithin(path, mount.at)) continue
    // Of two mounts at one place the later one hides the other.
    if (best === null || mount.at.length >= best.at.length) best = mount
  }
  return best === null ? new Set() : devicesOf(kernel, best, names)
}

function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

function loopsBelow(
  kernel: KernelView,
  devices: BlockDevices,
  mounts: Mounts,
  names: DeviceNames,
): ReadonlyMap<string, readonly string[]> {
  const loops = new Map<string, string[]>()
  for (const { name, backingFile } of devices.values()) {
    if (backingFile === null) continue
    const file = backingFile.replace(DELETED, '')
    for (const below of onWhich(kernel, file, mounts, names)) {
      loops.set(below, [...(loops.get(below) ?? []), name])
    }
  }
  return loops
}
