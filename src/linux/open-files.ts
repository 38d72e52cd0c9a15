/**
 * Who has which device files open: the links in /proc/PID/fd, which only root may see of all programs.
 *
 *     /proc/812/fd/21 -> /dev/vfio/13               a node, " (deleted)" behind it when it is gone by now
 *     /proc/812/fd/22 -> anon_inode:[vfio-device]   which device it is, only newer kernels tell, in
 *     /proc/812/fdinfo/22                           "vfio-device-syspath: /sys/devices/..."
 *     /proc/840/fd/3  -> /sys/bus/pci/drivers/vfio-pci/unbind    a write to sysfs that is under way
 *
 * Programs end while they are looked at; those are passed over. Programs that may not be looked at make the
 * answer unknown, for any of them could be the one.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import { KernelError, type KernelView } from '../kernel/kernel.ts'
import { readList, readText } from './reading.ts'

export interface OpenFile {
  readonly pid: number
  readonly descriptor: string
  /** Text of the link without " (deleted)": "/dev/vfio/13", "anon_inode:[vfio-device]". */
  readonly file: string
}

/** A device that VFIO_GROUP_GET_DEVICE_FD gave (drivers/vfio/group.c). */
export const VFIO_DEVICE = 'anon_inode:[vfio-device]'
const DELETED = / \(deleted\)$/
/** Files of every program that say nothing of a device. */
const COMMON = /^\/dev\/(?:null|zero|full|random|urandom|tty|console|ptmx|pts\/\d+|shm\/.*)$/

/** Device nodes, files of sysfs and VFIO devices that programs have open. */
export function readOpenFiles(kernel: KernelView): Fact<readonly OpenFile[]> {
  const entries = readList(kernel, '/proc')
  if (!entries.known) return entries
  const found: OpenFile[] = []
  let denied = 0
  let why = ''
  for (const pid of entries.value ?? []) {
    if (!/^[1-9]\d*$/.test(pid)) continue
    try {
      readProgram(kernel, pid, found)
    } catch (cause) {
      if (!(cause instanceof KernelError)) throw cause
      denied += 1
      why = cause.code
    }
  }
  if (denied === 0) return known(found)
  const needs = why === 'EACCES' || why === 'EPERM' ? 'needs root' : why
  return unknown(`open files of ${String(denied)} programs could not be seen (${needs})`)
}

/** @throws KernelError of a program that may not be looked at */
function readProgram(kernel: KernelView, pid: string, found: OpenFile[]): void {
  const dir = `/proc/${pid}/fd`
  for (const descriptor of unlessGone(() => kernel.list(dir)) ?? []) {
    const link = unlessGone(() => kernel.link(`${dir}/${descriptor}`))
    if (link === null || !isOfInterest(link)) continue
    found.push({ pid: Number(pid), descriptor, file: link.replace(DELETED, '') })
  }
}

function isOfInterest(link: string): boolean {
  if (link.startsWith('/dev/')) return !COMMON.test(link)
  return link.startsWith('/sys/') || link === VFIO_DEVICE
}

/** ESRCH is what a file in /proc of a program that ended says. */
const GONE = new Set(['ENOENT', 'ESRCH', 'ENOTDIR'])

function unlessGone<T>(ask: () => T): T | null {
  try {
    return ask()
  } catch (cause) {
    if (cause instanceof KernelError && GONE.has(cause.code)) return null
    throw cause
  }
}

/** Path below /sys of the device behind a descriptor of VFIO; null where the kernel does not tell. */
export function vfioDevicePath(kernel: KernelView, { pid, descriptor }: OpenFile): string | null {
  const info = readText(kernel, `/proc/${String(pid)}/fdinfo/${descriptor}`)
  const text = info.known ? (info.value ?? '') : ''
  return /^vfio-device-syspath:\s*(\S+)$/m.exec(text)?.[1] ?? null
}
