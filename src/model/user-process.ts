/**
 * A user process: who it is, the table of its open files, and its memory.
 *
 * When it ends, however it ends, everything it had open is closed in the order of descriptors. That is
 * what makes user-space drivers safe to kill: the last descriptor of a VFIO container undoes all it did.
 */
import type { KernelContext } from './context.ts'
import { Errno } from './errno.ts'
import { dropFile, holdFile } from './file-references.ts'
import type { Capability, OpenFile, Process } from './process.ts'
import type { Pause, Task } from './task.ts'
import { UserMemory } from './user-memory.ts'

/** What root has. */
const ALL_CAPABILITIES: ReadonlySet<Capability> = new Set([
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_IPC_LOCK',
  'CAP_SYS_ADMIN',
  'CAP_SYS_RAWIO',
])

/** RLIMIT_MEMLOCK of ordinary processes since 5.16. */
const MEMLOCK_BYTES = 8 * 2 ** 20
/** Descriptors 0-2 are the terminal's. */
const FIRST_DESCRIPTOR = 3

export interface ProcessInit {
  /** As messages of the kernel name it: "qemu-system-x86". */
  readonly name: string
  readonly pid: number
  /** Absent = 0, root. */
  readonly uid?: number
  /** Absent = the group with the user's number. */
  readonly gid?: number
  /** Absent = all for root, none for others. */
  readonly capabilities?: ReadonlySet<Capability>
  /** RLIMIT_MEMLOCK in bytes; Infinity = unlimited. Absent = 8 MiB. */
  readonly memlockLimit?: number
}

/** Every process there is, by pid: /proc. */
export type ProcessTable = Map<number, UserProcess>

/** A write that a process is in the middle of. */
export interface PendingWrite {
  readonly path: string
  /** Where it stands; null before its first step. */
  readonly pause: Pause | null
}

export class UserProcess implements Process {
  readonly name: string
  readonly pid: number
  readonly uid: number
  readonly gid: number
  readonly capabilities: ReadonlySet<Capability>
  readonly memory: UserMemory
  readonly #files = new Map<number, OpenFile>()
  readonly #writes = new Set<PendingWrite>()
  readonly #table: ProcessTable | null
  #exited = false

  /** @param table where it is listed while it lives */
  constructor(context: KernelContext, init: ProcessInit, table: ProcessTable | null = null) {
    this.name = init.name
    this.pid = init.pid
    this.uid = init.uid ?? 0
    this.gid = init.gid ?? this.uid
    this.#table = table
    table?.set(init.pid, this)
    this.capabilities = init.capabilities ?? (this.uid === 0 ? ALL_CAPABILITIES : new Set())
    this.memory = new UserMemory(context.memory, init.memlockLimit ?? MEMLOCK_BYTES)
  }

  file(descriptor: number): OpenFile {
    const file = this.#files.get(descriptor)
    if (file === undefined) throw new Errno('EBADF', `descriptor ${String(descriptor)} is not open`)
    return file
  }

  install(file: OpenFile): number {
    let descriptor = FIRST_DESCRIPTOR
    while (this.#files.has(descriptor)) descriptor += 1
    holdFile(file)
    this.#files.set(descriptor, file)
    return descriptor
  }

  /** dup(): another number for the same open file. @throws Errno EBADF */
  duplicate(descriptor: number): number {
    return this.install(this.file(descriptor))
  }

  /** close(): what ends with the last descriptor may take time. @throws Errno EBADF */
  *close(descriptor: number): Task<void> {
    const file = this.file(descriptor)
    this.#files.delete(descriptor)
    yield* dropFile(file)
  }

  /** Open descriptors with their files, by number. */
  openFiles(): readonly (readonly [descriptor: number, file: OpenFile])[] {
    return [...this.#files].sort(([a], [b]) => a - b)
  }

  /** Writes that have begun and not come back. */
  get writes(): ReadonlySet<PendingWrite> {
    return this.#writes
  }

  /**
   * write(2) as a task, listed while it runs.
   * @param path as /proc/PID/fd shows the file
   */
  *writing(path: string, task: Task<void>): Task<void> {
    const write: { path: string; pause: Pause | null } = { path, pause: null }
    this.#writes.add(write)
    try {
      for (let step = task.next(); step.done !== true; step = task.next()) {
        write.pause = step.value
        yield step.value
      }
    } finally {
      this.#writes.delete(write)
      this.#leaveTable()
    }
  }

  /**
   * exit(): memory first, then the files (exit_mm, exit_files). A process in the middle of a write that
   * nothing can interrupt stays until that is over.
   */
  *exit(): Task<void> {
    this.memory.releaseAll()
    for (const [descriptor] of this.openFiles()) yield* this.close(descriptor)
    this.#exited = true
    this.#leaveTable()
  }

  #leaveTable(): void {
    if (this.#exited && this.#writes.size === 0) this.#table?.delete(this.pid)
  }
}
