/** A kernel that is nothing but a list of files and links, for tests. */
import { encodeUtf8 } from '../../base/utf8.ts'
import { KernelError, type KernelView } from '../../kernel/kernel.ts'
import type { UsageEnvironment } from './usage.ts'
import { known } from '../../base/fact.ts'

export interface Paper {
  /** Text of files; an errno as "!EACCES" makes reading fail. */
  readonly files?: Readonly<Record<string, string>>
  readonly links?: Readonly<Record<string, string>>
}

/** /sys/class entries are links to directories: files below them are listed under /sys/class here. */
export function paperKernel({ files = {}, links = {} }: Paper): KernelView {
  const all = [...Object.keys(files), ...Object.keys(links)]
  const namesIn = (path: string): string[] => {
    const inside = all.filter((one) => one.startsWith(`${path}/`))
    return [...new Set(inside.map((one) => one.slice(path.length + 1).split('/', 1)[0] ?? ''))]
  }
  const text = (path: string): string => {
    const found = files[path]
    if (found === undefined) throw new KernelError('ENOENT', 'read', path)
    if (found.startsWith('!')) throw new KernelError(found.slice(1), 'read', path)
    return found
  }
  return {
    text,
    read: (path) => encodeUtf8(text(path)),
    link(path) {
      const found = links[path]
      if (found === undefined) {
        throw new KernelError(path in files ? 'EINVAL' : 'ENOENT', 'link', path)
      }
      if (found.startsWith('!')) throw new KernelError(found.slice(1), 'link', path)
      return found
    },
    list(path) {
      const names = namesIn(path)
      if (files[path]?.startsWith('!') === true) {
        throw new KernelError(files[path].slice(1), 'list', path)
      }
      if (names.length === 0) throw new KernelError('ENOENT', 'list', path)
      return names.filter((name) => name !== '')
    },
    exists: (path) => path in files || path in links || namesIn(path).length > 0,
  }
}

/** Several lists of files as one. */
export function papers(...parts: readonly Paper[]): Paper {
  return {
    files: Object.assign({}, ...parts.map(({ files }) => files)) as Record<string, string>,
    links: Object.assign({}, ...parts.map(({ links }) => links)) as Record<string, string>,
  }
}

export const NOBODY: UsageEnvironment = {
  sshConnection: null,
  holdersOf: () => () => known([]),
}

interface BlockPaper {
  /** Below /sys/devices. */
  readonly at: string
  readonly number: string
  readonly holders?: readonly string[]
  readonly more?: Readonly<Record<string, string>>
}

/** A block device by name. */
export function block(name: string, { at, number, holders = [], more = {} }: BlockPaper): Paper {
  const dir = `/sys/class/block/${name}`
  return {
    files: {
      [`${dir}/dev`]: `${number}\n`,
      ...Object.fromEntries(holders.map((holder) => [`${dir}/holders/${holder}`, ''])),
      ...Object.fromEntries(Object.entries(more).map(([file, text]) => [`${dir}/${file}`, text])),
    },
    links: { [dir]: `../../devices/${at}/${name}` },
  }
}

/** A network interface by name. */
export function net(name: string, at: string, more: Readonly<Record<string, string>> = {}): Paper {
  const dir = `/sys/class/net/${name}`
  const files = { flags: '0x1003\n', ...more }
  return {
    files: Object.fromEntries(
      Object.entries(files).map(([file, text]) => [`${dir}/${file}`, text]),
    ),
    links: { [dir]: `../../devices/${at}/${name}` },
  }
}

/** /proc/self/mountinfo of these lines: "259:2 / ext4 /dev/nvme0n1p2". */
export function mounted(...lines: readonly string[]): Paper {
  const text = lines.map((line, index) => {
    const [number = '', at = '', type = '', source = '', options = 'rw'] = line.split(' ')
    return `${String(20 + index)} 1 ${number} / ${at} rw - ${type} ${source} ${options}\n`
  })
  return { files: { '/proc/self/mountinfo': text.join('') } }
}
