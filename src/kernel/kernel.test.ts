import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import {
  kernelConformance,
  kernelHandleConformance,
  kernelWritingConformance,
} from './conformance.case.ts'
import { faulty } from './faulty.ts'
import { type Kernel, KernelError, type KernelView } from './kernel.ts'
import { liveKernel } from './native/live-kernel.ts'
import { nativeKernel } from './native/native-kernel.ts'
import { readOnly } from './read-only.ts'
import { NOT_RECORDED, recordedKernel } from './recorded.ts'
import { decodeBytes, encodeBytes } from './recording.ts'
import { traced } from './traced.ts'

const root = mkdtempSync(join(tmpdir(), 'isogroup-kernel-'))
mkdirSync(join(root, 'sys/a'), { recursive: true })
mkdirSync(join(root, 'sys/b'))
mkdirSync(join(root, 'proc'))
writeFileSync(join(root, 'sys/a/file'), 'text\n')
writeFileSync(join(root, 'sys/a/wide'), 'Grüße\n')
writeFileSync(join(root, 'sys/a/empty'), '')
writeFileSync(join(root, 'sys/a/bytes'), Uint8Array.from([0x00, 0xff, 0x10, 0x00, 0x00]))
symlinkSync('../b/target', join(root, 'sys/a/link'))
writeFileSync(join(root, 'sys/b-long'), 'x'.repeat(200_000))
writeFileSync(join(root, 'proc/long'), 'y'.repeat(200_000))
afterAll(() => {
  rmSync(root, { recursive: true })
})

/** A replay of everything that the conformance suite asks. */
function replay(): KernelView {
  const tracer = traced(nativeKernel(root))
  const { kernel } = tracer
  const calls = [
    () => kernel.read('/sys/a/bytes'),
    () => kernel.read('/sys/a'),
    () => kernel.text('/sys/a/file'),
    () => kernel.text('/sys/a/wide'),
    () => kernel.text('/sys/a/empty'),
    () => kernel.text('/sys/a/nothing'),
    () => kernel.link('/sys/a/link'),
    () => kernel.link('/sys/a/file'),
    () => kernel.list('/sys/a'),
    () => kernel.list('/sys/b'),
    () => kernel.list('/sys/a/file'),
    () => kernel.exists('/sys/a/file'),
    () => kernel.exists('/sys/a/nothing'),
  ]
  for (const call of calls) {
    try {
      call()
    } catch (cause) {
      expect(cause).toBeInstanceOf(KernelError)
    }
  }
  return recordedKernel(tracer.recording)
}

kernelConformance('nativeKernel() on a directory', () => nativeKernel(root))
kernelConformance('nativeKernel() on a directory with a slash', () => nativeKernel(`${root}/`))
kernelConformance('traced()', () => traced(nativeKernel(root)).kernel)
kernelConformance('recordedKernel()', replay)
kernelConformance('readOnly()', () => readOnly(nativeKernel(root)))
kernelConformance('faulty() without faults', () => faulty(liveKernel(root)))
kernelWritingConformance('liveKernel() on a directory', freshLive)
kernelHandleConformance('liveKernel() on a directory', freshLive)
kernelWritingConformance('faulty() without faults', () => faulty(freshLive()))
kernelHandleConformance('faulty() without faults', () => faulty(freshLive()))

/** The first test changes the file. */
function freshLive(): Kernel {
  writeFileSync(join(root, 'sys/a/file'), 'text\n')
  chmodSync(join(root, 'sys/a/file'), 0o644)
  chmodSync(join(root, 'sys/b'), 0o755)
  return liveKernel(root)
}

describe('nativeKernel()', () => {
  it('reads files longer than its buffer, and stops at the limit', () => {
    const kernel = nativeKernel(root)
    expect(kernel.text('/sys/b-long')).toHaveLength(200_000)
    expect(kernel.text('/proc/long')).toHaveLength(200_000)
    expect(kernel.read('/sys/b-long', 70_000)).toHaveLength(70_000)
    expect(kernel.read('/sys/b-long', 10)).toHaveLength(10)
  })

  it('gives bytes that later reads do not overwrite', () => {
    const kernel = nativeKernel(root)
    const first = kernel.read('/sys/a/bytes')
    kernel.read('/sys/a/file')
    expect(first[1]).toBe(0xff)
  })

  it('lets no path climb out of its directory', () => {
    const kernel = nativeKernel(join(root, 'sys'))
    for (const path of ['/../proc/long', '/a/../../proc/long', '/..']) {
      for (const call of [
        () => kernel.read(path),
        () => kernel.text(path),
        () => kernel.link(path),
        () => kernel.list(path),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'EINVAL', path }) as Error)
      }
      expect(kernel.exists(path)).toBe(false)
    }
    writeFileSync(join(root, 'sys/..a'), 'dots')
    expect(kernel.text('/..a')).toBe('dots')
  })

  it('reads the running kernel', () => {
    expect(nativeKernel().text('/proc/sys/kernel/osrelease')).toMatch(/^\d+\.\d+/)
  })
})

describe('recordedKernel()', () => {
  it('tells a path that was never asked from one that does not exist', () => {
    const code = (path: string): string => {
      try {
        return replay().text(path)
      } catch (cause) {
        return cause instanceof KernelError ? cause.code : 'other'
      }
    }
    expect(code('/sys/never/asked')).toBe(NOT_RECORDED)
    expect(code('/sys/a/nothing')).toBe('ENOENT')
    expect(code('constructor')).toBe(NOT_RECORDED)
  })
})

describe('readOnly()', () => {
  it('refuses to change or open anything, and has no events', async () => {
    const kernel = readOnly(nativeKernel(root))
    await expect(kernel.write('/sys/a/file', new Uint8Array(), 1)).rejects.toMatchObject({
      code: 'EROFS',
      action: 'write',
      path: '/sys/a/file',
    })
    await expect(kernel.open('/dev/vfio/vfio')).rejects.toMatchObject({ code: 'EROFS' })
    await expect(kernel.setOwner('/sys/a/file', 1, 1)).rejects.toMatchObject({ code: 'EROFS' })
    await expect(kernel.setMode('/sys/a/file', 0o600)).rejects.toMatchObject({ code: 'EROFS' })
    await expect(kernel.loadModule('vfio', 1)).rejects.toMatchObject({ code: 'EROFS' })
    const events = kernel.events()
    for await (const event of events) throw new Error(`unexpected event ${String(event)}`)
    await events.close()
  })
})

describe('readOnly()', () => {
  it('tells who owns a file where the kernel behind it does', () => {
    expect(readOnly(liveKernel(root)).stat('/sys/b').mode).toBe(0o755)
    expect(() => readOnly(nativeKernel(root)).stat('/sys/b')).toThrow('ENOSYS')
  })
})

describe('encodeBytes() and decodeBytes()', () => {
  it('write lower-case digits and cut off trailing zeros', () => {
    const bytes = Uint8Array.from([0x00, 0x9a, 0xbc, 0xf0, 0x01, 0x00, 0x00])
    expect(encodeBytes(bytes)).toEqual({ hex: '009abcf001', size: 7 })
    expect(encodeBytes(new Uint8Array(3))).toEqual({ hex: '', size: 3 })
  })

  it('keep what is longer than one chunk', () => {
    const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => (i % 255) + 1)
    expect(decodeBytes(encodeBytes(bytes))).toEqual(bytes)
  })

  it('are inverse', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeBytes(encodeBytes(bytes))).toEqual(bytes)
      }),
    )
  })
})
