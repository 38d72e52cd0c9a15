/** A descriptor of a process as the Kernel port's Handle: the calls that every open file has. */
import type { Handle } from '../kernel/kernel.ts'
import { Errno } from './errno.ts'
import type { Calls } from './kernel-calls.ts'
import type { UserProcess } from './user-process.ts'

/** @param name what errors call it: a path, or what the descriptor came from */
export function processHandle(
  calls: Calls,
  process: UserProcess,
  descriptor: number,
  name: string,
): Handle {
  let closed: Promise<void> | null = null
  const ioctl: Handle['ioctl'] = (request, argument) =>
    calls.now('ioctl', name, () => {
      const file = process.file(descriptor)
      if (file.ioctl === undefined) throw new Errno('ENOTTY', file.kind)
      return file.ioctl(request, argument, process)
    })
  return {
    descriptor,
    ioctl,
    ioctlAgain: (request, argument) => () => ioctl(request, argument),
    read: (offset, length) =>
      calls.now('read', name, () => {
        const file = process.file(descriptor)
        // A file without the operation: vfs_read() and vfs_write() say EINVAL, mmap() ENODEV.
        if (file.read === undefined) throw new Errno('EINVAL', file.kind)
        return file.read(offset, length)
      }),
    write: (offset, bytes) =>
      calls.now('write', name, () => {
        const file = process.file(descriptor)
        if (file.write === undefined) throw new Errno('EINVAL', file.kind)
        const written = file.write(offset, bytes)
        file.work?.()
        return written
      }),
    map: (offset, length) =>
      calls.now('map', name, () => {
        const file = process.file(descriptor)
        if (file.map === undefined) throw new Errno('ENODEV', file.kind)
        return process.memory.mapWindow(file.map(offset, length))
      }),
    close() {
      closed ??= calls.later('open', name, process.close(descriptor), null)
      return closed
    },
  }
}
