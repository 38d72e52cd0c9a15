/**
 * What every KernelView and every Kernel must do; each implementation's test runs this over the same
 * small tree.
 */
import { describe, expect, it } from 'vitest'
import { type Kernel, KernelError, type KernelView } from './kernel.ts'

/**
 * The tree: /sys/a/file "text\n", /sys/a/bytes (00 ff 10 00 00), /sys/a/link -> ../b/target,
 * /sys/a/empty (no bytes), /sys/a/wide "Grüße\n", /sys/b (empty directory).
 */
export function kernelConformance(name: string, make: () => KernelView): void {
  describe(`${name} as a KernelView`, () => {
    it('reads bytes and text, whole or up to a limit', () => {
      const kernel = make()
      expect([...kernel.read('/sys/a/bytes')]).toEqual([0x00, 0xff, 0x10, 0x00, 0x00])
      expect(kernel.text('/sys/a/file')).toBe('text\n')
      expect(kernel.text('/sys/a/wide')).toBe('Grüße\n')
      expect(kernel.text('/sys/a/empty')).toBe('')
    })

    it('gives the text of links, unresolved', () => {
      expect(make().link('/sys/a/link')).toBe('../b/target')
    })

    it('lists names', () => {
      const kernel = make()
      expect([...kernel.list('/sys/a')].sort()).toEqual(['bytes', 'empty', 'file', 'link', 'wide'])
      expect(kernel.list('/sys/b')).toEqual([])
    })

    it('tells what exists', () => {
      const kernel = make()
      expect(kernel.exists('/sys/a/file')).toBe(true)
      expect(kernel.exists('/sys/a/nothing')).toBe(false)
    })

    it('fails with the errno, the action and the path', () => {
      const kernel = make()
      expect(failure(() => kernel.text('/sys/a/nothing'))).toEqual([
        'ENOENT',
        'read',
        '/sys/a/nothing',
      ])
      expect(failure(() => kernel.link('/sys/a/file'))).toEqual(['EINVAL', 'link', '/sys/a/file'])
      expect(failure(() => kernel.list('/sys/a/file'))).toEqual(['ENOTDIR', 'list', '/sys/a/file'])
      expect(failure(() => kernel.read('/sys/a'))).toEqual(['EISDIR', 'read', '/sys/a'])
    })
  })
}

const DEADLINE = 20_000

/** The same tree; /sys/a/file can be written, its new content has the length of the old one. */
export function kernelWritingConformance(name: string, make: () => Kernel): void {
  const line = Uint8Array.from([0x54, 0x45, 0x58, 0x54, 0x0a])
  describe(`${name} as a Kernel`, () => {
    it('writes what a later read gives', async () => {
      const kernel = make()
      await kernel.write('/sys/a/file', line, DEADLINE)
      expect(kernel.text('/sys/a/file')).toBe('TEXT\n')
    })

    it('rejects a write with the errno, the action and the path', async () => {
      const kernel = make()
      const write = (path: string): Promise<unknown[]> =>
        rejection(kernel.write(path, line, DEADLINE))
      expect(await write('/sys/a/nothing')).toEqual(['ENOENT', 'write', '/sys/a/nothing'])
      expect(await write('/sys/b')).toEqual(['EISDIR', 'write', '/sys/b'])
      expect(await write('/sys/a/file/x')).toEqual(['ENOTDIR', 'write', '/sys/a/file/x'])
      expect(await write('/sys/b/../a/file')).toEqual(['EINVAL', 'write', '/sys/b/../a/file'])
    })

    it('tells owner and mode of files and directories, links followed', () => {
      const kernel = make()
      expect(kernel.stat('/sys/a/file')).toMatchObject({ mode: 0o644 })
      expect(kernel.stat('/sys/b')).toMatchObject({ mode: 0o755 })
      const { uid, gid } = kernel.stat('/sys/a/file')
      expect(Number.isInteger(uid) && Number.isInteger(gid)).toBe(true)
      expect(failure(() => kernel.stat('/sys/a/link'))).toEqual(['ENOENT', 'stat', '/sys/a/link'])
      expect(failure(() => kernel.stat('/sys/a/file/x'))).toEqual([
        'ENOTDIR',
        'stat',
        '/sys/a/file/x',
      ])
      expect(failure(() => kernel.stat('/sys/../sys'))).toEqual(['EINVAL', 'stat', '/sys/../sys'])
    })

    it('rejects changing the owner or mode of what is not there', async () => {
      const kernel = make()
      const nothing = '/sys/a/nothing'
      expect(await rejection(kernel.setOwner(nothing, 0, 0))).toEqual(['ENOENT', 'chown', nothing])
      expect(await rejection(kernel.setMode(nothing, 0o600))).toEqual(['ENOENT', 'chmod', nothing])
      const climbing = '/sys/b/../a/file'
      expect(await rejection(kernel.setMode(climbing, 0o600))).toEqual([
        'EINVAL',
        'chmod',
        climbing,
      ])
      expect(await rejection(kernel.setOwner(climbing, 0, 0))).toEqual([
        'EINVAL',
        'chown',
        climbing,
      ])
    })

    it('rejects loading a module whose name is none', async () => {
      const kernel = make()
      for (const name of ['', '-r', 'a b', '../x', 'a\n']) {
        expect(await rejection(kernel.loadModule(name, DEADLINE))).toEqual(['EINVAL', 'load', name])
      }
    })
  })
}

/** Opening, memory and counters: what needs no particular tree. */
export function kernelHandleConformance(name: string, make: () => Kernel): void {
  describe(`${name} as a Kernel with handles`, () => {
    it('rejects opening what is not there', async () => {
      const opening = make().open('/dev/vfio/999')
      expect(await rejection(opening)).toEqual(['ENOENT', 'open', '/dev/vfio/999'])
    })

    it('gives zeroed memory in whole pages', () => {
      const memory = make().memory(5000)
      expect(memory.bytes.length).toBe(8192)
      expect(memory.address % 4096).toBe(0)
      expect(memory.bytes.every((byte) => byte === 0)).toBe(true)
      memory.bytes.fill(7)
      memory.release()
      memory.release()
    })

    it('counts events, and tells who waits when a counter is closed', async () => {
      const counter = make().eventCounter()
      expect(counter.take()).toBe(0)
      const waiting = rejection(counter.ready())
      counter.close()
      counter.close()
      expect(await waiting).toEqual(['EBADF', 'read', 'eventfd'])
      expect(failure(() => counter.take())).toEqual(['EBADF', 'read', 'eventfd'])
      expect(await rejection(counter.ready())).toEqual(['EBADF', 'read', 'eventfd'])
    })

    it('has no answer for a descriptor that nobody has', () => {
      const handle = make().handle(999, 'none')
      expect(failure(() => handle.ioctl(0x3b64, 0))).toEqual(['EBADF', 'ioctl', 'none'])
      expect(failure(() => handle.read(0, 1))).toEqual(['EBADF', 'read', 'none'])
    })
  })
}

async function rejection(call: Promise<unknown>): Promise<unknown[]> {
  try {
    return ['answered', await call]
  } catch (cause) {
    return failure(() => {
      throw cause
    })
  }
}

function failure(call: () => unknown): unknown[] {
  try {
    return ['answered', call()]
  } catch (cause) {
    if (cause instanceof KernelError) return [cause.code, cause.action, cause.path]
    throw cause
  }
}
