/**
 * What a file system is made of: directories, files and links, all answered on demand. Nothing of
 * sysfs is stored: a read asks the object that the file shows, as kernfs does.
 */
import type { Credentials } from '../process.ts'
import type { Task } from '../task.ts'

export type Node = Directory | File | Link

export interface Directory {
  readonly kind: 'directory'
  /** Absent = 0o755: everybody may look into it. */
  readonly mode?: number
  /** Owner; absent = root. */
  readonly uid?: number
  readonly gid?: number
  /** Names in it, each once. */
  list(): readonly string[]
  /**
   * @param who asks; absent: the kernel itself
   * @returns undefined when there is no such name
   */
  find(name: string, who?: Credentials): Node | undefined
}

export interface File {
  readonly kind: 'file'
  /** Permission bits: 0o444, 0o644, 0o200. Checked against the opener for every read and write. */
  readonly mode: number
  /** Owner; absent = root. */
  readonly uid?: number
  readonly gid?: number
  /** Takes a new owner and mode, which the file then has. Absent: neither can be changed. */
  change?(owned: { readonly uid: number; readonly gid: number; readonly mode: number }): void
  /** Whole content at the moment of the read. Absent: EIO for whoever the mode lets read. */
  read?(who: Credentials): Uint8Array | string
  /** One write call. Throws or ends with an Errno. May sleep. Absent: EIO for whoever may write. */
  write?(bytes: Uint8Array, who: Credentials): Task<void>
}

export interface Link {
  readonly kind: 'link'
  /** As readlink prints it: relative in sysfs ("../../../bus/pci/drivers/nvme"). */
  target(): string
}

/** A directory of fixed names; the nodes are made when they are asked for. */
export function directory(entries: Readonly<Record<string, () => Node | undefined>>): Directory {
  const names = Object.keys(entries)
  return {
    kind: 'directory',
    list: () => names.filter((name) => entries[name]?.() !== undefined),
    find: (name) => (Object.hasOwn(entries, name) ? entries[name]?.() : undefined),
  }
}

/** A text file that everybody may read. */
export function textFile(read: () => string): File {
  return { kind: 'file', mode: 0o444, read }
}

/** Link from one directory to another, both absolute within the same mount, as sysfs writes it. */
export function relativeLink(from: string, to: string): Link {
  return { kind: 'link', target: () => relativePath(from, to) }
}

/** The name of the target is always said, even of a directory above (kernfs_get_target_path): "../../a". */
function relativePath(from: string, to: string): string {
  const source = from.split('/').filter((part) => part !== '')
  const goal = to.split('/').filter((part) => part !== '')
  let common = 0
  while (common < source.length && common < goal.length - 1 && source[common] === goal[common]) {
    common += 1
  }
  return [...source.slice(common).map(() => '..'), ...goal.slice(common)].join('/')
}
