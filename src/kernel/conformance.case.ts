/** What every KernelView must do; each implementation's test runs this over the same small tree. */
import { describe, expect, it } from 'vitest'
import { KernelError, type KernelView } from './kernel.ts'

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

function failure(call: () => unknown): unknown[] {
  try {
    return ['answered', call()]
  } catch (cause) {
    if (cause instanceof KernelError) return [cause.code, cause.action, cause.path]
    throw cause
  }
}
