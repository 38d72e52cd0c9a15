import { describe, expect, it } from 'vitest'
import { opened } from './containers.case.ts'
import { errnoOf, type Program, wide, words } from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

describe('IOMMU_DIRTY_PAGES', () => {
  const get = (
    bitmap: number,
    iova: number,
    size: number,
    bytes: number,
    page = 4096,
  ): Uint8Array =>
    words(48, 4, ...wide(iova), ...wide(size), ...wide(page), ...wide(bytes), ...wide(bitmap))

  it('is for version 2, takes one flag, and wants tracking on', () => {
    const one = opened({}, 1)
    const start = (program: Program, container: number, flags: number): string =>
      errnoOf(() => program.ioctl(container, REQUEST.iommuDirtyPages, words(8, flags)))
    expect(start(one.program, one.container, 1)).toBe('EACCES')
    const { program, container } = opened()
    const bitmap = program.memory(1)
    const ask = (argument: Uint8Array): string =>
      errnoOf(() => program.ioctl(container, REQUEST.iommuDirtyPages, argument))
    expect(start(program, container, 0)).toBe('EINVAL')
    expect(start(program, container, 3)).toBe('EINVAL')
    expect(start(program, container, 8)).toBe('EINVAL')
    expect(ask(get(bitmap.address, 0, 0x10000, 8))).toBe('EINVAL')
    expect(start(program, container, 1)).toBe('ok')
    expect(start(program, container, 1)).toBe('ok')
    expect(ask(get(bitmap.address, 0, 0x10000, 8))).toBe('ok')
    expect(ask(get(bitmap.address, 0, 0x10000, 8, 0x200000))).toBe('EINVAL')
    expect(ask(get(bitmap.address, 0, 0x1000000, 8))).toBe('EINVAL')
    expect(ask(get(bitmap.address, 0x800, 0x10000, 8))).toBe('EINVAL')
    expect(ask(get(bitmap.address, 0, 0, 8))).toBe('EINVAL')
    expect(start(program, container, 2)).toBe('ok')
    expect(ask(get(bitmap.address, 0, 0x10000, 8))).toBe('EINVAL')
  })

  it('reports every mapped page, each at its bit, and refuses to cut a mapping', () => {
    const { program, container } = opened()
    const memory = program.memory(8)
    const bitmap = program.memory(1)
    program.ioctl(container, REQUEST.iommuDirtyPages, words(8, 1))
    program.map(container, memory.address, 0x2000, 3)
    program.map(container, memory.address, 0x46000, 2)
    const ask = (argument: Uint8Array): string =>
      errnoOf(() => program.ioctl(container, REQUEST.iommuDirtyPages, argument))
    expect(ask(get(bitmap.address, 0, 0x80000, 16))).toBe('ok')
    expect([...bitmap.bytes.subarray(0, 16)]).toEqual([
      ...[0b00011100, 0, 0, 0, 0, 0, 0, 0],
      ...[0b11000000, 0, 0, 0, 0, 0, 0, 0],
    ])
    expect(ask(get(bitmap.address, 0x3000, 0x40000, 16))).toBe('EINVAL')
    expect(ask(get(0x1000, 0, 0x80000, 16))).toBe('EFAULT')
  })

  it('comes with an unmap as well', () => {
    const { program, container } = opened()
    const memory = program.memory(4)
    const bitmap = program.memory(1)
    program.map(container, memory.address, 0, 4)
    const unmap = (): string =>
      errnoOf(() =>
        program.ioctl(
          container,
          REQUEST.iommuUnmapDma,
          words(
            48,
            1,
            ...wide(0),
            ...wide(0x4000),
            ...wide(4096),
            ...wide(8),
            ...wide(bitmap.address),
          ),
        ),
      )
    expect(unmap()).toBe('EINVAL')
    program.ioctl(container, REQUEST.iommuDirtyPages, words(8, 1))
    expect(unmap()).toBe('ok')
    expect(bitmap.bytes[0]).toBe(0b1111)
    expect(program.process.memory.lockedPages).toBe(0)
  })
})
