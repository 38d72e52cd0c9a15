import { describe, expect, it } from 'vitest'
import { parseActual } from './actual.ts'
import { parseLibraries } from './initramfs.ts'
import { findPayload } from './kernel-image.ts'
import { parseImageDependency } from './kernels.ts'
import { parseDependencies } from './modules.ts'
import { parseLabOptions } from './options.ts'
import { actualPartition, partitionDifferences, restrictPartition } from './partition.ts'

describe('parseActual', () => {
  it('reads address, group and driver, where - is none', () => {
    expect(parseActual('0000:00:00.0 0 -\n0000:01:00.0 - e1000e\n')).toEqual([
      { address: '0000:00:00.0', group: '0', driver: undefined },
      { address: '0000:01:00.0', group: undefined, driver: 'e1000e' },
    ])
  })

  it('refuses a line of any other shape', () => {
    expect(() => parseActual('0000:00:00.0 0')).toThrow('not a line')
  })
})

describe('partitions', () => {
  const actual = actualPartition(
    parseActual('0000:02:00.0 7 -\n0000:00:02.0 7 -\n0000:01:00.0 3 -\n0000:03:00.0 - -\n'),
  )

  it('know nothing of numbers and of devices without a group', () => {
    expect(actual).toEqual([['0000:00:02.0', '0000:02:00.0'], ['0000:01:00.0']])
  })

  it('show each group that only one side has', () => {
    const split = [['0000:00:02.0'], ['0000:02:00.0'], ['0000:01:00.0']]
    expect(partitionDifferences(actual, split)).toEqual([
      'kernel: 0000:00:02.0 0000:02:00.0',
      'found:  0000:00:02.0',
      'found:  0000:02:00.0',
    ])
    expect(partitionDifferences(actual, actual)).toEqual([])
  })

  it('can be looked at for some devices only', () => {
    expect(restrictPartition(actual, new Set(['0000:02:00.0']))).toEqual([['0000:02:00.0']])
  })
})

describe('parseImageDependency', () => {
  it('finds the image package of the series among the dependencies', () => {
    const shown = 'Package: linux-image-amd64\nDepends: linux-image-6.1.0-56-amd64 (= 6.1.192-2)\n'
    expect(parseImageDependency(shown, '6.1')).toBe('linux-image-6.1.0-56-amd64')
    expect(parseImageDependency(shown, '6.12')).toBeUndefined()
    const backport = 'Depends: foo, linux-image-6.12.117+deb12-amd64\n'
    expect(parseImageDependency(backport, '6.12')).toBe('linux-image-6.12.117+deb12-amd64')
  })
})

describe('parseLibraries', () => {
  it('takes the files and leaves the vdso', () => {
    const listed = [
      '\tlinux-vdso.so.1 (0x00007f347a95d000)',
      '\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f347a947000)',
      '\t/lib64/ld-linux-x86-64.so.2 (0x00007f347a95f000)',
    ].join('\n')
    expect(parseLibraries(listed)).toEqual([
      '/lib/x86_64-linux-gnu/libdl.so.2',
      '/lib64/ld-linux-x86-64.so.2',
    ])
  })
})

describe('parseDependencies', () => {
  it('reads names without directory, suffix and dash', () => {
    const printed =
      'kernel/a/vfio-pci.ko.xz: kernel/b/vfio.ko.xz kernel/c/irq-bypass.ko.xz\nx.ko:\n'
    expect([...parseDependencies(printed)]).toEqual([
      ['vfio_pci', ['vfio', 'irq_bypass']],
      ['x', []],
    ])
  })
})

describe('findPayload', () => {
  it('finds the compressed kernel by the numbers of the boot protocol', () => {
    const image = Buffer.alloc(2_048)
    image.writeUInt8(1, 0x1f1)
    image.write('HdrS', 0x202)
    image.writeUInt32LE(16, 0x248)
    image.writeUInt32LE(12, 0x24c)
    image.set([0x28, 0xb5, 0x2f, 0xfd, 1, 2, 3, 4], 1_024 + 16)
    image.writeUInt32LE(99, 1_024 + 16 + 8)
    const { compression, content, size } = findPayload(image)
    expect([compression, content.length, size]).toEqual(['zstd', 8, 99])
    expect(() => findPayload(Buffer.alloc(2_048))).toThrow('not a Linux bzImage')
  })
})

describe('parseLabOptions', () => {
  it('reads what the usage promises', () => {
    const options = parseLabOptions(['--random', '3', '--seed', '9', '--kernel', '6.12'])
    expect(options).toMatchObject({ random: 3, seed: 9, kernel: '6.12', required: false })
  })

  it('names what it does not understand', () => {
    expect(() => parseLabOptions(['--kernel', '5.10'])).toThrow('the lab has 6.1 and 6.12')
    expect(() => parseLabOptions(['--random', 'x'])).toThrow('--random x')
    expect(() => parseLabOptions(['--nonsense'])).toThrow('--nonsense')
  })
})
