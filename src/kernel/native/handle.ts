/** Open device nodes: node:fs for opening, reading, writing and closing, libc for ioctl and mmap. */
import { close, constants, open, readSync, writeSync } from 'node:fs'
import { type Handle, KernelError } from '../kernel.ts'
import { errnoOf, named, refuseClimbing } from './failure.ts'
import { addressOf, calls, checked, lastErrno } from './libc.ts'
import { deviceMemory } from './mapping.ts'

/** @param prefix put in front of the path @throws KernelError */
export async function openHandle(prefix: string, path: string): Promise<Handle> {
  refuseClimbing('open', path)
  const descriptor = await new Promise<number>((resolve, reject) => {
    open(prefix + path, constants.O_RDWR | constants.O_NOCTTY, (error, opened) => {
      if (error === null) resolve(opened)
      else reject(new KernelError(errnoOf(error), 'open', path))
    })
  })
  return descriptorHandle(descriptor, path)
}

/** @param name what errors call it: a path, or what the descriptor came from */
export function descriptorHandle(descriptor: number, name: string): Handle {
  const libc = calls()
  let closed: Promise<void> | null = null
  return {
    descriptor,
    ioctl(request, argument) {
      const result =
        typeof argument === 'number'
          ? libc.ioctlNumber(descriptor, request, argument)
          : libc.ioctlBuffer(descriptor, request, argument)
      return checked(result, 'ioctl', name)
    },
    ioctlAgain(request, argument) {
      // The buffer lives as long as this object, and this object as long as the call.
      const held = { place: addressOf(argument), argument }
      return () => {
        // By number: looking into a buffer, or a bigint, takes koffi longer than the rest of the call.
        const result = libc.ioctlNumber(descriptor, request, held.place)
        // checked() would compare with pointers too, and this is what a user-space driver does most.
        if (result === -1) throw new KernelError(lastErrno(), 'ioctl', name)
        return result
      }
    },
    read(offset, length) {
      const buffer = new Uint8Array(length)
      const count = named('read', name, () => readSync(descriptor, buffer, 0, length, offset))
      return buffer.subarray(0, count)
    },
    write: (offset, bytes) =>
      named('write', name, () => writeSync(descriptor, bytes, 0, bytes.length, offset)),
    map: (offset, length) => deviceMemory(descriptor, offset, length, name),
    close() {
      closed ??= closeDescriptor(descriptor, name)
      return closed
    },
  }
}

/** In Node's pool: the last close of a device resets it, which takes its time. */
function closeDescriptor(descriptor: number, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    close(descriptor, (error) => {
      if (!error) resolve()
      else reject(new KernelError(errnoOf(error), 'open', name))
    })
  })
}
