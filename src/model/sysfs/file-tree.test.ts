import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOf, outcomeOf, ROOT, USER } from '../driver-core/fake-bus.case.ts'
import type { Credentials } from '../process.ts'
import { runNow, type Task } from '../task.ts'
import { FileTree } from './file-tree.ts'
import { type Directory, directory, type File, relativeLink, textFile } from './node.ts'
import { writtenText, writtenWord } from './written-text.ts'

const MEMBER: Credentials = { uid: 7, capabilities: new Set() }
const POWERLESS_ROOT: Credentials = { uid: 0, capabilities: new Set() }

const written: number[] = []

function file(mode: number, more: Partial<File> = {}): File {
  return {
    kind: 'file',
    mode,
    read: () => 'content',
    // biome-ignore lint/correctness/useYield: a store is a task
    *write(bytes): Task<void> {
      written.push(bytes.length)
    },
    ...more,
  }
}

function tree(entries: Readonly<Record<string, Directory | File>>): FileTree {
  return new FileTree(
    directory(
      Object.fromEntries(Object.entries(entries).map(([name, node]) => [name, () => node])),
    ),
  )
}

function link(target: string): { readonly kind: 'link'; target(): string } {
  return { kind: 'link', target: () => target }
}

const deep = directory({
  file: () => textFile(() => 'deep'),
  up: () => link('../top'),
  back: () => link('..'),
  out: () => link('/top'),
})
const walked = new FileTree(
  directory({
    deep: () => deep,
    top: () => textFile(() => 'top'),
    away: () => link('deep'),
    absolute: () => link('/deep/file'),
    loop: () => link('loop'),
    dangling: () => link('nothing'),
  }),
)

function read(path: string): unknown {
  return outcomeOf(() => walked.read(path, ROOT))
}

describe('walking', () => {
  it('follows links from where they are, and what is above from where it came to', () => {
    expect(read('/deep/file')).toBe('deep')
    expect(read('/away/file')).toBe('deep')
    expect(read('/away/up')).toBe('top')
    expect(read('/away/back/absolute')).toBe('deep')
    expect(read('/deep/out')).toBe('top')
    expect(read('/away/../top')).toBe('top')
    expect(read('/../../top')).toBe('top')
    expect(read('//deep/./file')).toBe('deep')
  })

  it('fails as the kernel does', () => {
    expect(read('')).toBe('ENOENT')
    expect(read('/nothing')).toBe('ENOENT')
    expect(read('/dangling')).toBe('ENOENT')
    expect(read('/top/x')).toBe('ENOTDIR')
    expect(read('/top/..')).toBe('ENOTDIR')
    expect(read('/top/')).toBe('ENOTDIR')
    expect(read('/deep')).toBe('EISDIR')
    expect(read('/')).toBe('EISDIR')
    expect(read('/loop')).toBe('ELOOP')
    expect(read(`/${'n'.repeat(256)}`)).toBe('ENAMETOOLONG')
    expect(read(`/${'n'.repeat(255)}`)).toBe('ENOENT')
    expect(read('/.'.repeat(2048))).toBe('ENAMETOOLONG')
    expect(read('/.'.repeat(2047))).toBe('EISDIR')
  })

  it('reads a link only where the last name is one', () => {
    expect(walked.link('/away')).toBe('deep')
    expect(walked.link('/away/up')).toBe('../top')
    expect(walked.link('/loop')).toBe('loop')
    expect(outcomeOf(() => walked.link('/away/'))).toBe('EINVAL')
    expect(outcomeOf(() => walked.link('/deep'))).toBe('EINVAL')
    expect(outcomeOf(() => walked.link('/top/x'))).toBe('ENOTDIR')
    expect(outcomeOf(() => walked.link('/dangling/'))).toBe('ENOENT')
  })

  it('lists directories, and sees what is there behind its links', () => {
    expect(walked.list('/away')).toEqual(['file', 'up', 'back', 'out'])
    expect(walked.list('/away/')).toEqual(['file', 'up', 'back', 'out'])
    expect(outcomeOf(() => walked.list('/top'))).toBe('ENOTDIR')
    expect(['/away/up', '/dangling', '/loop', '/top/x'].map((path) => walked.exists(path))).toEqual(
      [true, false, false, false],
    )
  })
})

describe('opening', () => {
  const files = tree({
    r: file(0o444),
    w: file(0o200),
    rw: file(0o644),
    secret: file(0o600),
    owned: file(0o600, { uid: 7 }),
    hollow: { kind: 'file', mode: 0o644 },
  })
  const canRead = (name: string, who: Credentials): unknown =>
    outcomeOf(() => files.read(`/${name}`, who))
  const canWrite = (name: string, who: Credentials): unknown =>
    outcomeOf(() => {
      runNow(files.write(`/${name}`, bytesOf('x'), who))
      return 'ok'
    })

  it('asks the mode who may', () => {
    expect(canRead('r', USER)).toBe('content')
    expect(canRead('secret', USER)).toBe('EACCES')
    expect(canRead('secret', ROOT)).toBe('content')
    expect(canRead('owned', MEMBER)).toBe('content')
    expect(canRead('owned', USER)).toBe('EACCES')
    expect(canRead('owned', POWERLESS_ROOT)).toBe('EACCES')
    expect(canRead('owned', ROOT)).toBe('content')
    expect(canWrite('rw', USER)).toBe('EACCES')
    expect(canWrite('rw', POWERLESS_ROOT)).toBe('ok')
    expect(canWrite('owned', MEMBER)).toBe('ok')
  })

  it('refuses even root what the mode gives nobody', () => {
    expect(canRead('w', ROOT)).toBe('EACCES')
    expect(canWrite('r', ROOT)).toBe('EACCES')
    expect(canWrite('w', ROOT)).toBe('ok')
  })

  it('finds nothing behind a file that promises more than it has', () => {
    expect(canRead('hollow', ROOT)).toBe('EIO')
    expect(canWrite('hollow', ROOT)).toBe('EIO')
    expect(canWrite('hollow', USER)).toBe('EACCES')
  })

  it('does not write to directories', () => {
    expect(canWrite('', ROOT)).toBe('EISDIR')
    expect(canWrite('none', ROOT)).toBe('ENOENT')
  })

  it('cuts a write to a page and leaves out one of nothing', () => {
    written.length = 0
    for (const length of [0, 1, 4096, 4097, 9000]) {
      runNow(files.write('/rw', new Uint8Array(length), ROOT))
    }
    expect(written).toEqual([1, 4096, 4096, 4096])
  })
})

describe('relativeLink()', () => {
  it('leads from one directory to another, however they lie', () => {
    const name = fc.constantFrom('a', 'b', 'c')
    const path = fc.array(name, { maxLength: 4 }).map((names) => `/${names.join('/')}`)
    // Every directory has every name, so each path exists; the path it was reached by is its content.
    const everything = (at: string): Directory => ({
      kind: 'directory',
      list: () => [],
      find: (found) =>
        found === 'where'
          ? textFile(() => at)
          : everything(at === '/' ? `/${found}` : `${at}/${found}`),
    })
    const anywhere = new FileTree(everything('/'))
    fc.assert(
      fc.property(path, path, (from, to) => {
        const target = relativeLink(from, to).target()
        expect(anywhere.read(`${from}/${target}/where`, ROOT)).toBe(to)
      }),
    )
    expect(relativeLink('/bus/pci/devices', '/devices/x/y').target()).toBe('../../../devices/x/y')
    expect(relativeLink('/devices/x/net/eth0', '/devices/x').target()).toBe('../../../x')
  })
})

describe('what was written', () => {
  it('ends at a zero byte', () => {
    expect(writtenText(bytesOf('a\nb\0c'))).toBe('a\nb')
    expect(writtenText(bytesOf('\0'))).toBe('')
    expect(writtenText(Uint8Array.of(0xff))).toBe('\u00ff')
  })

  it('is a word with one newline at most', () => {
    expect(writtenWord(bytesOf('a\n'))).toBe('a')
    expect(writtenWord(bytesOf('a\n\n'))).toBe('a\n')
    expect(writtenWord(bytesOf('a\n\0b'))).toBe('a')
  })
})
