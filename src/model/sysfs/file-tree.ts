/**
 * Paths to files: walking directories, following links, checking who may do what, with the errnos that
 * Linux gives (fs/namei.c, fs/kernfs/file.c).
 */
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { Task } from '../task.ts'
import type { Directory, File, Node } from './node.ts'

const LINKS_MAX = 40
/** One page: longer writes to sysfs are cut to it. */
const PAGE = 4096
const READ = 4
const WRITE = 2

export class FileTree {
  readonly #root: Directory

  constructor(root: Directory) {
    this.#root = root
  }

  /** @throws Errno ENOENT, ENOTDIR, EISDIR, EACCES, EIO (a file that cannot be read at all), ELOOP */
  read(path: string, who: Credentials, limit = Infinity): Uint8Array | string {
    const file = this.#file(path)
    demand(file, who, READ)
    if (file.read === undefined) throw new Errno('EIO', path)
    const content = file.read(who)
    return content.length <= limit ? content : content.slice(0, limit)
  }

  /** @throws Errno ENOENT, EINVAL (no link) */
  link(path: string): string {
    const node = this.#walk(path, false)
    if (node.kind !== 'link') throw new Errno('EINVAL', path)
    return node.target()
  }

  /** @throws Errno ENOENT, ENOTDIR */
  list(path: string): readonly string[] {
    const node = this.#walk(path, true)
    if (node.kind !== 'directory') throw new Errno('ENOTDIR', path)
    return node.list()
  }

  exists(path: string): boolean {
    try {
      this.#walk(path, true)
      return true
    } catch (error) {
      if (error instanceof Errno) return false
      throw error
    }
  }

  /**
   * Opens for writing and writes once. @throws Errno ENOENT, EISDIR, EACCES (also for root where the
   * file takes no writes), and what the file answers
   */
  *write(path: string, bytes: Uint8Array, who: Credentials): Task<void> {
    const file = this.#file(path)
    demand(file, who, WRITE)
    if (file.write === undefined) throw new Errno('EACCES', path)
    // kernfs never calls a file's store for nothing: the value is kept.
    if (bytes.length === 0) return
    yield* file.write(bytes.subarray(0, PAGE), who)
  }

  /** The node behind a path, links followed. @throws Errno ENOENT, ENOTDIR, ELOOP */
  node(path: string): Exclude<Node, { kind: 'link' }> {
    const node = this.#walk(path, true)
    if (node.kind === 'link') throw new Errno('ELOOP', path)
    return node
  }

  #file(path: string): File {
    const node = this.#walk(path, true)
    if (node.kind === 'directory') throw new Errno('EISDIR', path)
    if (node.kind === 'link') throw new Errno('ELOOP', path)
    return node
  }

  #walk(path: string, follow: boolean): Node {
    let rest = parts(path)
    const stack: Directory[] = [this.#root]
    const names: string[] = []
    let links = 0
    let last: Node = this.#root
    for (let at = 0; at < rest.length; at++) {
      const name = rest[at] ?? ''
      if (last.kind === 'file') throw new Errno('ENOTDIR', path)
      if (name === '.') continue
      if (name === '..') {
        if (stack.length > 1) {
          stack.pop()
          names.pop()
        }
        last = top(stack)
        continue
      }
      const found = top(stack).find(name)
      if (found === undefined) throw new Errno('ENOENT', path)
      if (found.kind === 'link' && (follow || at < rest.length - 1)) {
        links += 1
        if (links > LINKS_MAX) throw new Errno('ELOOP', path)
        const target = found.target()
        if (target.startsWith('/')) {
          stack.length = 1
          names.length = 0
        }
        rest = [...parts(target), ...rest.slice(at + 1)]
        at = -1
        last = top(stack)
        continue
      }
      last = found
      if (found.kind === 'directory') {
        stack.push(found)
        names.push(name)
      }
    }
    return last
  }
}

function top(stack: readonly Directory[]): Directory {
  const last = stack.at(-1)
  if (last === undefined) throw new Error('the root is never left')
  return last
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

/** Owner bits for the owner (root unless the file says otherwise), other bits for everybody else. */
function demand(file: File, who: Credentials, wanted: number): void {
  if (who.capabilities.has('CAP_DAC_OVERRIDE')) return
  const bits = who.uid === (file.uid ?? 0) ? file.mode >> 6 : file.mode
  if ((bits & wanted) === 0) throw new Errno('EACCES')
}
