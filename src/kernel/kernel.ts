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

/** Everything: reading, changing, user-space access and events. One object is the view of one process. */
export interface Kernel extends KernelView {
  /**
   * Writes the bytes with one write call. Rejects with the write's own errno, or ETIMEDOUT when the
   * deadline passed: the write may then still happen, and must not be repeated blindly.
   * @param deadline milliseconds
   */
  write(path: string, bytes: Uint8Array, deadline: number): Promise<void>
  /** Writes are about to come: what they need is started now, beside whatever is done first. */
  expectWrites(): void
  /** Owner and permission bits, links followed. @throws KernelError ENOENT, EACCES ... */
  stat(path: string): FileStatus
  /** chown(2), links followed. Rejects with EPERM, ENOENT, EROFS ... */
  setOwner(path: string, uid: number, gid: number): Promise<void>
  /** chmod(2), links followed. @param mode permission bits: 0o600. Rejects like setOwner. */
  setMode(path: string, mode: number): Promise<void>
  /**
   * Loads a kernel module and what it depends on; nothing happens when it is loaded already. Rejects with
   * ENOENT when there is no such module, EPERM without the right, ETIMEDOUT: it may still be loaded later.
   * @param name letters, digits, - and _: "vfio_pci"; else EINVAL
   * @param deadline milliseconds
   */
  loadModule(name: string, deadline: number): Promise<void>
  /** Opens a device node (/dev/vfio/vfio, /dev/vfio/13). Exclusive where the kernel says so (EBUSY). */
  open(path: string): Promise<Handle>
  /** Handle of a descriptor that an ioctl returned (VFIO_GROUP_GET_DEVICE_FD). */
  handle(descriptor: number, name: string): Handle
  /**
   * Zeroed anonymous memory of this process, page-aligned, `length` rounded up to pages of 4 KiB.
   * @param pages "huge": aligned to 2 MiB, rounded up to it, and of huge pages as far as the system gives some
   * @throws KernelError ENOMEM
   */
  memory(length: number, pages?: PageKind): Memory
  /** A new eventfd with counter 0, not blocking. */
  eventCounter(): EventCounter
  /** Uevents from now on. Hints only: a lost one costs latency, never truth. */
  events(): EventSource
}

/** Who owns a file and what the mode allows, as stat(2) tells. */
export interface FileStatus {
  readonly uid: number
  readonly gid: number
  /** Permission bits without the kind of file: 0o600. */
  readonly mode: number
}

/** An open device node, or a descriptor that came out of one. */
export interface Handle {
  /** Descriptor number in this process: what other ioctls want in their structures. */
  readonly descriptor: number
  /**
   * One ioctl call, to its end. A buffer is read and written in place, a number is passed by value.
   * @returns the non-negative result @throws KernelError with the errno
   */
  ioctl(request: number, argument: Uint8Array | number): number
  /**
   * The same ioctl with the same buffer, to be called many times: where the buffer is is looked up once.
   * @returns the call; its result and errors are those of ioctl()
   */
  ioctlAgain(request: number, argument: Uint8Array): () => number
  /** pread: what the kernel gave, which may be less. Offsets are exact up to 2^53. @throws KernelError */
  read(offset: number, length: number): Uint8Array
  /** pwrite. @returns bytes written @throws KernelError */
  write(offset: number, bytes: Uint8Array): number
  /** mmap, shared, readable and writable. @throws KernelError EINVAL ... */
  map(offset: number, length: number): Memory
  /** Closes the descriptor. Everything it kept alive goes as the kernel's rules say. Twice = once. */
  close(): Promise<void>
}

export type PageKind = 'small' | 'huge'

/** Mapped memory: addresses are below 2^47, so they are numbers. */
export interface Memory {
  readonly address: number
  readonly bytes: Uint8Array
  /**
   * Gives the pages, or the device's registers, back. Who still holds `bytes` reads zeros and writes for
   * nobody. Twice = once.
   */
  release(): void
}

/** An eventfd: the kernel adds, we read and reset. */
export interface EventCounter {
  readonly descriptor: number
  /** Takes the count and sets it to 0; 0 when nothing happened. */
  take(): number
  /**
   * Resolves when the count is not 0, at once if it is so already; rejects with EBADF after close.
   * @param hold whether waiting keeps the program alive; absent: it does
   */
  ready(hold?: boolean): Promise<void>
  close(): void
}

/**
 * Uevent datagrams as the kernel sends them: "add@/devices/...\0ACTION=add\0...". One without any byte
 * says that the reader was too slow and some were lost (ENOBUFS of a netlink socket).
 */
export interface EventSource extends AsyncIterable<Uint8Array> {
  close(): Promise<void>
}

export type KernelAction =
  | 'read'
  | 'link'
  | 'list'
  | 'stat'
  | 'write'
  | 'chown'
  | 'chmod'
  | 'load'
  | 'open'
  | 'ioctl'
  | 'map'
  | 'memory'

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
