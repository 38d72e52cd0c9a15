/** Memory made by mmap: anonymous pages of this process, and windows into devices. */
import { type KernelAction, KernelError, type Memory } from '../kernel.ts'
import { calls, checked, viewMemory } from './libc.ts'

const PAGE = 4096
const PROT_READ_WRITE = 3
const MAP_SHARED = 0x01
const MAP_ANONYMOUS = 0x20

/** @throws KernelError ENOMEM, EINVAL for a length that is not positive */
export function anonymousMemory(length: number): Memory {
  const rounded = Math.ceil(length / PAGE) * PAGE
  return mapping(rounded, MAP_SHARED | MAP_ANONYMOUS, -1, 0, 'memory', 'anonymous memory')
}

/** @throws KernelError as the device says */
export function deviceMemory(
  descriptor: number,
  offset: number,
  length: number,
  name: string,
): Memory {
  return mapping(length, MAP_SHARED, descriptor, offset, 'map', name)
}

function mapping(
  length: number,
  flags: number,
  descriptor: number,
  offset: number,
  action: KernelAction,
  path: string,
): Memory {
  if (!Number.isSafeInteger(length) || length <= 0) throw new KernelError('EINVAL', action, path)
  const address = checked(
    calls().mmap(null, length, PROT_READ_WRITE, flags, descriptor, offset),
    action,
    path,
  )
  let mapped = true
  return {
    address: Number(address),
    bytes: viewMemory(address, length),
    release() {
      if (!mapped) return
      mapped = false
      calls().munmap(address, length)
    },
  }
}
