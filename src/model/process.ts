/**
 * User processes as the kernel sees them: who they are, what they may lock, what they have open, and
 * which memory they own. One Kernel port is the view of one process.
 */
import type { Task } from './task.ts'

/** Capabilities that any check in the model asks for. */
export type Capability =
  | 'CAP_CHOWN'
  | 'CAP_DAC_OVERRIDE'
  | 'CAP_FOWNER'
  | 'CAP_IPC_LOCK'
  | 'CAP_SYS_ADMIN'
  | 'CAP_SYS_RAWIO'

export interface Credentials {
  readonly uid: number
  /** Main group; absent = the one with the user's number. Further groups are not modelled. */
  readonly gid?: number
  /** Effective capabilities; root normally has all. */
  readonly capabilities: ReadonlySet<Capability>
}

/**
 * An open file of any kind (device node, container, group, device, event counter). The descriptor
 * table counts references; `release` runs when the last one goes, as struct file_operations does.
 */
export interface OpenFile {
  /** Which file_operations it has: "vfio-container", "vfio-group", "vfio-device", "eventfd". */
  readonly kind: string
  /** What /proc/PID/fd shows: "/dev/vfio/13". Absent: a file without a name, "anon_inode:[eventfd]". */
  path?(): string
  /** @throws Errno ENOTTY ... */
  ioctl?(request: number, argument: IoctlArgument, process: Process): number
  read?(offset: number, length: number): Uint8Array
  write?(offset: number, bytes: Uint8Array): number
  /** @returns the bytes behind the window, shared with whoever else maps them */
  map?(offset: number, length: number): MappedWindow
  /** After a write: what is behind the file goes on by itself. A model has no time in which it could. */
  work?(): void
  release(): Task<void> | undefined
}

/** By value (CHECK_EXTENSION), or a buffer that is read and written in place. */
export type IoctlArgument = number | Uint8Array

export interface MappedWindow {
  readonly bytes: Uint8Array
}

export interface Process extends Credentials {
  /** "qemu-system-x86", for messages of the kernel. */
  readonly name: string
  readonly pid: number
  readonly memory: AddressSpace
  /** @throws Errno EBADF */
  file(descriptor: number): OpenFile
  /** Adds a reference to the file under the lowest free number. */
  install(file: OpenFile): number
}

/** Virtual memory of a process, as far as mapping it for devices needs. */
export interface AddressSpace {
  /** RLIMIT_MEMLOCK in bytes; Infinity = unlimited. */
  memlockLimit: number
  /** Pages of 4 KiB locked now (mm->locked_vm). */
  lockedPages: number
  /**
   * Physical page number behind a virtual page number (both address / 4096); undefined when nothing
   * is mapped there.
   */
  physicalPage(virtualPage: number): number | undefined
  /**
   * Pins pages from a virtual page on, at most `pages`, as many as are physically contiguous: they stay
   * where they are until `unpin`, even when they are unmapped (pin_user_pages). Undefined: not mapped.
   */
  pin(virtualPage: number, pages: number): PinnedRun | undefined
  /** copy_from_user() @returns null when some of it is not mapped */
  copyFrom(address: number, length: number): Uint8Array | null
  /** copy_to_user() @returns whether all of it was mapped */
  copyTo(address: number, bytes: Uint8Array): boolean
}

/** Pages of a process that a device may reach. */
export interface PinnedRun {
  /** Physical page number. */
  readonly firstPage: number
  readonly pages: number
  unpin(): void
}
