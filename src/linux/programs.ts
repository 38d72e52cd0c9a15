/**
 * Programs that use a group or the functions in it, by the device files they have open.
 *
 * A group's user has /dev/vfio/<group> open, or has closed it and kept a device of it, which keeps the group
 * as busy. Which group such a device is of, kernels before 6.18 do not tell; then a program without any group
 * open is named for every group: rather a program too many than a user unseen.
 *
 * Files of a function are all nodes whose device hangs below it, through other devices too: /sys/dev/char and
 * /sys/dev/block list every node by number, and the `uevent` of its device has its name (DEVNAME).
 */
import { type Fact, known, mapFact } from '../base/fact.ts'
import type { Program, Programs } from '../isolation/live-host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { nodePath } from './actions.ts'
import { type OpenFile, readOpenFiles, VFIO_DEVICE, vfioDevicePath } from './open-files.ts'
import { baseName, readLink, readList, readText } from './reading.ts'

/** @param files from one look, which all answers are made of */
export function readPrograms(
  kernel: KernelView,
  files: Fact<readonly OpenFile[]> = readOpenFiles(kernel),
): Programs {
  return {
    usersOf: (group) => mapFact(files, (open) => usersOf(kernel, group, open)),
    holdersOf: (addresses) => holdersOf(kernel, addresses, files),
  }
}

function usersOf(
  kernel: KernelView,
  group: string,
  files: readonly OpenFile[],
): readonly Program[] {
  const node = nodePath(group)
  // Without a node no member is on a VFIO driver, and nobody can have opened any.
  const mayHideHere = kernel.exists(node)
  const withGroup = new Set(files.filter(({ file }) => isGroupNode(file)).map(({ pid }) => pid))
  const using = files.filter((open) => {
    if (open.file === node) return true
    if (open.file !== VFIO_DEVICE) return false
    const path = vfioDevicePath(kernel, open)
    if (path !== null) return groupAt(kernel, path) === group
    return mayHideHere && !withGroup.has(open.pid)
  })
  return programs(kernel, using)
}

export function isGroupNode(file: string): boolean {
  return /^\/dev\/vfio\/(?:noiommu-)?\d+$/.test(file)
}

export function groupAt(kernel: KernelView, devicePath: string): string | null {
  const link = readLink(kernel, `${devicePath}/iommu_group`)
  return link.known && link.value !== null ? baseName(link.value) : null
}

function holdersOf(
  kernel: KernelView,
  addresses: readonly string[],
  files: Fact<readonly OpenFile[]>,
): (address: string) => Fact<readonly Program[]> {
  if (!files.known) return () => files
  const nodes = nodesBelow(kernel, addresses)
  if (!nodes.known) return () => nodes
  return (address) => {
    const own = nodes.value.get(address) ?? new Set()
    const using = files.value.filter(({ file }) => own.has(file))
    return known(programs(kernel, using))
  }
}

/** Names of the device nodes below each function. */
function nodesBelow(
  kernel: KernelView,
  addresses: readonly string[],
): Fact<ReadonlyMap<string, ReadonlySet<string>>> {
  const found = new Map<string, Set<string>>(addresses.map((address) => [address, new Set()]))
  for (const kind of ['char', 'block']) {
    const dir = `/sys/dev/${kind}`
    const numbers = readList(kernel, dir)
    if (!numbers.known) return numbers
    for (const number of numbers.value ?? []) {
      const link = readLink(kernel, `${dir}/${number}`)
      if (!link.known) return link
      const above = (link.value ?? '').split('/').filter((part) => found.has(part))
      if (above.length === 0) continue
      const name = nodeName(kernel, `${dir}/${number}`)
      if (name !== null) for (const address of above) found.get(address)?.add(name)
    }
  }
  return known(found)
}

function nodeName(kernel: KernelView, device: string): string | null {
  const uevent = readText(kernel, `${device}/uevent`)
  const name = /^DEVNAME=(\S+)$/m.exec(uevent.known ? (uevent.value ?? '') : '')?.[1]
  return name === undefined ? null : `/dev/${name}`
}

/** One entry for each program and file; programs that ended since then are left out. */
function programs(kernel: KernelView, files: readonly OpenFile[]): readonly Program[] {
  const found = new Map<string, Program>()
  for (const { pid, file } of files) {
    const key = `${String(pid)} ${file}`
    const who = found.has(key) ? null : whoIs(kernel, pid)
    if (who !== null) found.set(key, { ...who, file })
  }
  return [...found.values()].sort((a, b) => a.pid - b.pid || (a.file < b.file ? -1 : 1))
}

/** Null when it ended since then. */
export function whoIs(kernel: KernelView, pid: number): Omit<Program, 'file'> | null {
  const status = readText(kernel, `/proc/${String(pid)}/status`)
  const text = status.known ? (status.value ?? '') : ''
  const name = /^Name:\s*(.*)$/m.exec(text)?.[1]
  const uid = /^Uid:\s*(\d+)/m.exec(text)?.[1]
  return name === undefined || uid === undefined ? null : { pid, name, uid: Number(uid) }
}
