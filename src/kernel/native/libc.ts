/**
 * The system calls that Node does not have: ioctl, mmap, eventfd, netlink sockets. The only file that
 * imports koffi, and a file that is only loaded by who needs more than reading.
 *
 * koffi.errno() is that of the last call made through koffi, so it is read at once, before anything else
 * can call. Arguments of ioctl are declared as the kernel sees them, not as "...": a fifth faster, and
 * right on every architecture where a variadic call passes integers like any other.
 *
 * koffi is loaded at the first call. Loading it takes longer than Node takes to start on slow machines,
 * and who only writes to sysfs never calls.
 */
import { createRequire } from 'node:module'
import type koffiModule from 'koffi'
import { errnoName } from '../abi/errno.ts'
import { type KernelAction, KernelError } from '../kernel.ts'

type Koffi = typeof koffiModule

let loadedKoffi: Koffi | undefined

function koffi(): Koffi {
  loadedKoffi ??= createRequire(import.meta.url)('koffi') as Koffi
  return loadedKoffi
}

type Result = number | bigint

type Calls = ReturnType<typeof bindCalls>

let boundCalls: Calls | undefined

/** Names as in section 2 of the manual. Results are as C gives them: -1 is a failure. */
export function calls(): Calls {
  boundCalls ??= bindCalls()
  return boundCalls
}

function bindCalls() {
  const libc = koffi().load(null)
  return {
    ioctlBuffer: libc.func('ioctl', 'int', ['int', 'uint32', 'void *']) as (
      descriptor: number,
      request: number,
      buffer: Uint8Array,
    ) => number,
    /** Of a number, or with the address of a buffer. */
    ioctlNumber: libc.func('ioctl', 'int', ['int', 'uint32', 'uint64']) as (
      descriptor: number,
      request: number,
      value: number,
    ) => number,
    mmap: libc.func('mmap', 'void *', ['void *', 'size_t', 'int', 'int', 'int', 'int64']) as (
      address: bigint | null,
      length: number,
      protection: number,
      flags: number,
      descriptor: number,
      offset: number,
    ) => bigint,
    munmap: libc.func('munmap', 'int', ['void *', 'size_t']) as (
      address: bigint,
      length: number,
    ) => number,
    madvise: libc.func('int madvise(void *, size_t, int)') as (
      address: bigint,
      length: number,
      advice: number,
    ) => number,
    read: libc.func('long read(int, void *, size_t)') as (
      descriptor: number,
      buffer: Uint8Array,
      length: number,
    ) => Result,
    eventfd: libc.func('int eventfd(unsigned int, int)') as (
      value: number,
      flags: number,
    ) => number,
  }
}

let boundSocketCalls: ReturnType<typeof bindSocketCalls> | undefined

/** As calls(), for sockets. */
export function socketCalls(): ReturnType<typeof bindSocketCalls> {
  boundSocketCalls ??= bindSocketCalls()
  return boundSocketCalls
}

function bindSocketCalls() {
  const libc = koffi().load(null)
  return {
    socket: libc.func('int socket(int, int, int)') as (
      domain: number,
      type: number,
      protocol: number,
    ) => number,
    bind: libc.func('int bind(int, void *, unsigned int)') as (
      descriptor: number,
      address: Uint8Array,
      length: number,
    ) => number,
    setsockopt: libc.func('int setsockopt(int, int, int, void *, unsigned int)') as (
      descriptor: number,
      level: number,
      option: number,
      value: Uint8Array,
      length: number,
    ) => number,
    recvfrom: libc.func('long recvfrom(int, void *, size_t, int, void *, void *)') as (
      descriptor: number,
      buffer: Uint8Array,
      length: number,
      flags: number,
      address: Uint8Array,
      addressLength: Uint8Array,
    ) => Result,
  }
}

/** MAP_FAILED, and the failure of every call that returns a pointer. */
const FAILED_POINTER = 2n ** 64n - 1n

/** Name of the errno of the call that has just returned. */
export function lastErrno(): string {
  return errnoName(koffi().errno())
}

/** Passes a result on, or throws what it means. @throws KernelError */
export function checked<T extends Result>(result: T, action: KernelAction, path: string): T {
  if (result === FAILED_POINTER || result === -1 || result === -1n) {
    throw new KernelError(lastErrno(), action, path)
  }
  return result
}

/** Where a buffer is. It stays there while somebody holds it, and the address keeps nobody from collecting it. */
export function addressOf(buffer: Uint8Array): number {
  return Number(koffi().address(buffer))
}

/** The memory at an address, without a copy. Touching it after munmap is a crash. */
export function viewMemory(address: bigint, length: number): Uint8Array {
  return new Uint8Array(koffi().view(address, length))
}

export interface Watch {
  /** Whether waiting for the descriptor keeps the process alive. */
  hold(hold: boolean): void
  /** Before the descriptor is closed. */
  close(): void
}

/** Calls back from the event loop while there is something to read: no thread waits. */
export function watchReadable(descriptor: number, ready: () => void): Watch {
  const handle = koffi().node.poll(descriptor, { readable: true }, ready)
  handle.unref()
  return {
    hold: (hold) => {
      if (hold) handle.ref()
      else handle.unref()
    },
    close: () => handle.close(),
  }
}
