/**
 * /proc/PID: what one process has open and what it waits for in the kernel (fs/proc/base.c, fs/proc/fd.c).
 *
 *     fd/7 -> /dev/vfio/13              a device node, " (deleted)" behind it when the node is gone
 *     fd/8 -> anon_inode:[vfio-device]  a descriptor that an ioctl made: which device it is does not show
 *     stack                             functions of the kernel it is in, innermost first; root only
 *
 * Only the process's user may look into fd/. The model knows of functions by name alone, so every place in
 * one is "+0x0/0x0".
 */
import type { OpenFile } from '../process.ts'
import { type Directory, directory, type File, type Link, textFile } from '../sysfs/node.ts'
import type { Pause } from '../task.ts'
import type { PendingWrite, UserProcess } from '../user-process.ts'
import { commOf, limits, status } from './proc-self.ts'

/** @param more files that every process has */
export function processDirectory(
  process: UserProcess,
  more: Readonly<Record<string, () => File>>,
): Directory {
  const { uid, gid } = process
  return directory({
    comm: () => textFile(() => `${commOf(process)}\n`),
    fd: () => ({ ...openFiles(process), mode: 0o500, uid, gid }),
    limits: () => textFile(() => limits(process)),
    stack: () => ({ kind: 'file', mode: 0o400, read: () => stack(process) }),
    status: () => textFile(() => status(process, stateOf(process))),
    ...more,
  })
}

/** Where services read from and write to; descriptors 0 to 2 belong to no model. */
const STANDARD = '/dev/null'

function openFiles(process: UserProcess): Directory {
  const shown = (): ReadonlyMap<string, string> => {
    const names = [0, 1, 2].map((n): [number, string] => [n, STANDARD])
    for (const [descriptor, file] of process.openFiles()) names.push([descriptor, nameOf(file)])
    const next = Math.max(...names.map(([descriptor]) => descriptor)) + 1
    const writes = [...process.writes].map(({ path }, n): [number, string] => [next + n, path])
    return new Map([...names, ...writes].map(([descriptor, name]) => [String(descriptor), name]))
  }
  return {
    kind: 'directory',
    list: () => [...shown().keys()],
    find: (descriptor): Link | undefined => {
      const name = shown().get(descriptor)
      return name === undefined ? undefined : { kind: 'link', target: () => name }
    },
  }
}

function nameOf(file: OpenFile): string {
  return file.path?.() ?? `anon_inode:[${file.kind}]`
}

function stateOf({ writes }: UserProcess): string {
  return [...writes].some((write) => isAsleep(write)) ? 'D (disk sleep)' : 'S (sleeping)'
}

function isAsleep({ pause }: PendingWrite): boolean {
  return pause?.until !== undefined
}

const SYSTEM_CALL = ['vfs_write', 'ksys_write', 'do_syscall_64', 'entry_SYSCALL_64_after_hwframe']

function stack(process: UserProcess): string {
  const write = [...process.writes].find((one) => isAsleep(one))
  const pause = write?.pause ?? null
  if (write === undefined || pause === null) return ''
  const functions = [...waitingIn(pause), ...storing(write.path), ...SYSTEM_CALL]
  return functions.map((name) => `[<0>] ${name}+0x0/0x0\n`).join('')
}

function waitingIn({ at }: Pause): readonly string[] {
  if (!at.startsWith('users of ')) return ['__mutex_lock']
  return ['vfio_unregister_group_dev', 'vfio_pci_core_unregister_device', 'pci_device_remove']
}

/** What the file's write handler is called: unbind_store() of drivers/base/bus.c, remove_store() of pci-sysfs.c. */
function storing(path: string): readonly string[] {
  const file = path.slice(path.lastIndexOf('/') + 1)
  const release = file === 'unbind' ? ['device_release_driver_internal'] : []
  return [...release, `${file}_store`, 'kernfs_fop_write_iter']
}
