/**
 * Paths to files: walking directories, following links, checking who may do what, with the errnos that
 * Linux gives (fs/namei.c, fs/kernfs/file.c).
 *
 * Two things differ from ordinary file systems. Being root is not enough in sysfs: a file that nobody may
 * read by its mode is not opened for reading at all (KERNFS_ROOT_EXTRA_OPEN_PERM_CHECK). And a file is
 * what its kernel object answers at the moment, so nothing is kept between two reads.
 */
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { Task } from '../task.ts'
import type { Directory, File, Node } from './node.ts'
import {
  demandOwner,
  modeAllows,
  type Owned,
  ownerAfter,
  READ,
  SEARCH,
  WRITE,
} from './permission.ts'

const LINKS_MAX = 40
const NAME_MAX = 255
/** With its terminating zero. */
const PATH_MAX = 4096
/** One page: longer writes to sysfs are cut to it. */
const PAGE = 4096
/** Modes of what says nothing about its own. */
const DIRECTORY_MODE = 0o755
const PERMISSION_BITS = 0o7777
/** The kernel itself, which nobody refuses anything. */
const KERNEL: Credentials = { uid: 0, capabilities: new Set(['CAP_DAC_OVERRIDE']) }

export class FileTree {
  readonly #root: Directory

  constructor(root: Directory) {
    this.#root = root
  }

  /**
   * @throws Errno EISDIR, EACCES (root too, where no read bit is set), EIO (a file with nothing behind
   *   its read bits), what the file answers, and those of walking: ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG
   */
  read(path: string, who: Credentials): Uint8Array | string {
    const file = this.#file(path, who)
    demand(file, who, READ)
    if (file.read === undefined) throw new Errno('EIO', path)
    return file.read(who)
  }

  /** readlink(2) @throws Errno EINVAL (no link), and those of walking */
  link(path: string, who: Credentials = KERNEL): string {
    const { node } = this.#walk(path, false, who)
    if (node.kind !== 'link') throw new Errno('EINVAL', path)
    return node.target()
  }

  /** @throws Errno ENOTDIR, EACCES, and those of walking */
  list(path: string, who: Credentials = KERNEL): readonly string[] {
    const { node } = this.#walk(path, true, who)
    if (node.kind !== 'directory') throw new Errno('ENOTDIR', path)
    demandDirectory(node, who, READ)
    return node.list()
  }

  /** Whether the path leads to something, links followed. */
  exists(path: string, who: Credentials = KERNEL): boolean {
    try {
      this.#walk(path, true, who)
      return true
    } catch (error) {
      if (error instanceof Errno) return false
      throw error
    }
  }

  /**
   * Opens for writing and writes once. A write of nothing does nothing; one of more than a page is cut.
   * @throws Errno EISDIR, EACCES (root too, where no write bit is set), EIO (a file with nothing behind
   *   its write bits), what the file answers, and those of walking
   */
  *write(path: string, bytes: Uint8Array, who: Credentials): Task<void> {
    const file = this.#file(path, who)
    demand(file, who, WRITE)
    // kernfs never calls a file's store for nothing: the value is kept.
    if (bytes.length === 0) return
    if (file.write === undefined) throw new Errno('EIO', path)
    yield* file.write(bytes.subarray(0, PAGE), who)
  }

  /** The node behind a path, links followed. @throws Errno those of walking */
  node(path: string, who: Credentials = KERNEL): Exclude<Node, { kind: 'link' }> {
    const { node } = this.#walk(path, true, who)
    if (node.kind === 'link') throw new Errno('ELOOP', path)
    return node
  }

  /** The path without links in it, as /proc/PID/fd shows open files. @throws Errno those of walking */
  resolved(path: string): string {
    return `/${this.#walk(path, true, KERNEL).names.join('/')}`
  }

  /** stat(2) @throws Errno those of walking */
  owner(path: string, who: Credentials): Required<Owned> {
    const { mode = DIRECTORY_MODE, uid = 0, gid = 0 } = this.node(path, who)
    return { mode, uid, gid }
  }

  /**
   * chown(2), chmod(2): what is left out stays. Owners of files that are only shown are not kept anywhere, so
   * nobody may change them; Linux allows that root does, which changes nothing for root.
   * @throws Errno EPERM, and those of walking
   */
  change(
    path: string,
    to: { readonly uid: number; readonly gid: number } | { readonly mode: number },
    who: Credentials,
  ): void {
    const file = this.node(path, who)
    const now = this.owner(path, who)
    if ('mode' in to) demandOwner(now, who)
    const owner = 'uid' in to ? ownerAfter(now, to, who) : now
    if (file.kind === 'directory' || file.change === undefined) throw new Errno('EPERM', path)
    const mode = 'mode' in to ? to.mode & PERMISSION_BITS : now.mode
    file.change({ uid: owner.uid, gid: owner.gid, mode })
  }

  #file(path: string, who: Credentials): File {
    const node = this.node(path, who)
    if (node.kind === 'directory') throw new Errno('EISDIR', path)
    return node
  }

  /** A slash at the end asks for a directory, and follows a link as `follow` does. */
  #walk(path: string, follow: boolean, who: Credentials): Found {
    if (path === '') throw new Errno('ENOENT', path)
    if (path.length >= PATH_MAX) throw new Errno('ENAMETOOLONG', path)
    const demandsDirectory = path.endsWith('/')
    let rest = parts(path)
    const above: Directory[] = [this.#root]
    const names: string[] = []
    let links = 0
    let last: Node = this.#root
    for (let at = 0; at < rest.length; at += 1) {
      const name = rest[at] ?? ''
      if (last.kind !== 'directory') throw new Errno('ENOTDIR', path)
      if (name.length > NAME_MAX) throw new Errno('ENAMETOOLONG', path)
      if (name === '.') continue
      if (name === '..') {
        if (above.length > 1) above.pop()
        names.pop()
        last = top(above)
        continue
      }
      demandDirectory(last, who, SEARCH)
      const found = last.find(name, who)
      if (found === undefined) throw new Errno('ENOENT', path)
      last = found
      if (found.kind !== 'link') names.push(name)
      if (found.kind === 'directory') above.push(found)
      if (found.kind !== 'link') continue
      if (!follow && !demandsDirectory && at === rest.length - 1) return { node: found, names }
      links += 1
      if (links > LINKS_MAX) throw new Errno('ELOOP', path)
      const target = found.target()
      if (target.startsWith('/')) {
        above.length = 1
        names.length = 0
      }
      rest = [...parts(target), ...rest.slice(at + 1)]
      at = -1
      last = top(above)
    }
    if (demandsDirectory && last.kind !== 'directory') throw new Errno('ENOTDIR', path)
    return { node: last, names }
  }
}

interface Found {
  readonly node: Node
  /** From the root, links followed. */
  readonly names: readonly string[]
}

function top(above: readonly Directory[]): Directory {
  const last = above.at(-1)
  if (last === undefined) throw new Error('the root is never left')
  return last
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

/** Who may override permissions still needs somebody to have them. */
function demand(file: File, who: Credentials, wanted: number): void {
  const anybody = (file.mode | (file.mode >> 3) | (file.mode >> 6)) & wanted
  const allowed = who.capabilities.has('CAP_DAC_OVERRIDE')
    ? anybody !== 0
    : modeAllows(file, who, wanted)
  if (!allowed) throw new Errno('EACCES')
}

/** Directories that say nothing of a mode are open to everybody. */
function demandDirectory(directory: Directory, who: Credentials, wanted: number): void {
  const { mode, uid = 0, gid = 0 } = directory
  if (mode === undefined || who.capabilities.has('CAP_DAC_OVERRIDE')) return
  if (!modeAllows({ mode, uid, gid }, who, wanted)) throw new Errno('EACCES')
}
