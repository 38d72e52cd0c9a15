/**
 * The Kernel port: the ABI that Linux froze for us, and the only door to an operating system.
 *
 * Names in a tree, bytes in, bytes out. Everything above (linux/) is written once against this port
 * and runs unchanged on the real kernel (native), on a captured machine (recorded) and on the kernel
 * in memory (model). Decorators wrap it: readOnly refuses to change anything, traced records.
 *
 * Reads are synchronous because a host may have 10,000 functions and the answers come from memory.
 * Writes are asynchronous and have a deadline because a sysfs write can hang for ever (unbinding a
 * device in use ignores even SIGKILL); an implementation must never block the event loop on one.
 */

/** The reading half: enough to see and explain a host. */
export interface KernelView {
  /**
   * The bytes of a file, at most `limit` of them (default 1 MiB). A file in sysfs is read with one
   * read call, as its contract asks.
   * @throws KernelError ENOENT, EACCES, EPERM, EIO ...
   */
  read(path: string, limit?: number): Uint8Array
  /** The same, decoded as UTF-8: most files are text, and kernels decode faster than we do. */
  text(path: string, limit?: number): string
  /** The text of a symbolic link, not resolved. @throws KernelError ENOENT, EINVAL (not a link) */
  link(path: string): string
  /** The names in a directory, in no particular order. @throws KernelError ENOENT, ENOTDIR, EACCES */
  list(path: string): readonly string[]
  /** Whether the name exists. Cheap: for files that most devices lack. Never throws. */
  exists(path: string): boolean
}

/** Everything: reading, changing, user-space access and events. */
export interface Kernel extends KernelView {
  /**
   * Writes the bytes with one write call. Rejects with the write's own errno, or ETIMEDOUT when the
   * deadline passed: the write may then still happen, and must not be repeated blindly.
   * @param deadline milliseconds
   */
  write(path: string, bytes: Uint8Array, deadline: number): Promise<void>
  /** Opens a device node (/dev/vfio/vfio, /dev/vfio/13). Exclusive where the kernel says so (EBUSY). */
  open(path: string): Promise<Handle>
  /** Uevents from now on. Hints only: a lost one costs latency, never truth. */
  events(): EventSource
}

/** An open device node. */
export interface Handle {
  /** @returns the ioctl's non-negative result; rejects with its errno. The buffer is read and written. */
  ioctl(request: number, argument: Uint8Array | bigint): Promise<number>
  close(): Promise<void>
}

/** Uevent datagrams as the kernel sends them: "add@/devices/...\0ACTION=add\0...". */
export interface EventSource extends AsyncIterable<Uint8Array> {
  close(): Promise<void>
}

export type KernelAction = 'read' | 'link' | 'list' | 'write' | 'open'

/** A kernel's "no": which call on which path, and the errno by name. */
export class KernelError extends Error {
  /** Errno by name: "ENOENT"; "ENOTRECORDED" when a capture does not hold the path. */
  readonly code: string
  readonly action: KernelAction
  readonly path: string

  constructor(code: string, action: KernelAction, path: string) {
    super(`${action} ${path}: ${code}`)
    this.name = 'KernelError'
    this.code = code
    this.action = action
    this.path = path
  }
}
