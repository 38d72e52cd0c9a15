import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { domainOf, mapWith, opened } from './containers.case.ts'
import { bind, EDU, errnoOf, NIC, NIC_B, Program, testMachine, wide } from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

describe('IOMMU_MAP_DMA', () => {
  it('makes devices of the group reach the pages, and no others', () => {
    const { machine, program, container } = opened()
    const memory = program.memory(3)
    program.map(container, memory.address, 0x40000000, 3)
    const physical = program.process.memory.physicalPage(memory.address / 4096) ?? -2
    const domain = domainOf(machine, NIC)
    const found = [0x3ffff, 0x40000, 0x40001, 0x40002, 0x40003].map((n) => domain.physicalPage(n))
    expect(found).toEqual([-1, physical, physical + 1, physical + 2, -1])
    expect(domainOf(machine, NIC_B)).toBe(domain)
  })

  it('says what is wrong with an argument', () => {
    const { program, container } = opened()
    const map = (change: Parameters<typeof mapWith>[2]): string =>
      mapWith(program, container, change)
    expect(map({ argsz: 31 })).toBe('EINVAL')
    expect(map({ flags: 0 })).toBe('EINVAL')
    expect(map({ flags: 8 })).toBe('EINVAL')
    expect(map({ flags: 5 })).toBe('EINVAL')
    expect(map({ size: [0, 0] })).toBe('EINVAL')
    expect(map({ size: [4097, 0] })).toBe('EINVAL')
    expect(map({ iova: [0x800, 0] })).toBe('EINVAL')
    expect(map({ vaddr: [0x800, 0] })).toBe('EINVAL')
    expect(map({ iova: [0xfffff000, 0xffffffff] })).toBe('EINVAL')
    expect(map({ vaddr: [0xfffff000, 0xffffffff] })).toBe('EINVAL')
    expect(map({ vaddr: [0x1000, 0] })).toBe('EFAULT')
    // The interrupt window, and beyond 39 bits.
    expect(map({ iova: [0xfee00000, 0] })).toBe('EINVAL')
    expect(map({ iova: [0xfedff000, 0] })).toBe('EINVAL')
    expect(map({ iova: [0, 0x80] })).toBe('EINVAL')
    expect(map({ iova: [0xffffe000, 0x7f] })).toBe('ok')
    expect(map({})).toBe('ok')
    expect(map({})).toBe('EEXIST')
    expect(map({ iova: [0x101000, 0] })).toBe('EEXIST')
    expect(map({ flags: 4, iova: [0x900000, 0] })).toBe('ENOENT')
    expect(map({ flags: 4 })).toBe('EINVAL')
    const short = new Uint8Array(31)
    expect(errnoOf(() => program.ioctl(container, REQUEST.iommuMapDma, short))).toBe('EFAULT')
    expect(errnoOf(() => program.ioctl(container, REQUEST.iommuMapDma, 7))).toBe('EFAULT')
  })

  it('counts locked pages, each time a page is mapped', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine, {
      uid: 1000,
      memlockLimit: 65536,
      capabilities: new Set(['CAP_DAC_OVERRIDE']),
    })
    const { container } = program.container([NIC])
    const memory = program.memory(16)
    program.map(container, memory.address, 0, 16)
    expect(program.process.memory.lockedPages).toBe(16)
    const before = machine.context.memory.usedPages
    expect(errnoOf(() => program.map(container, memory.address, 0x100000, 1))).toBe('ENOMEM')
    expect(machine.context.log.at(-1)).toBe(
      'vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded',
    )
    expect(machine.context.memory.usedPages).toBe(before)
    expect(program.process.memory.lockedPages).toBe(16)
    program.unmap(container, 0, 65536)
    expect(program.process.memory.lockedPages).toBe(0)
    expect(errnoOf(() => program.map(container, memory.address, 0x100000, 1))).toBe('ok')
  })

  it('sets no limit for CAP_IPC_LOCK, and remembers who had it', () => {
    const { program, container } = opened()
    program.process.memory.memlockLimit = 4096
    const memory = program.memory(4)
    program.map(container, memory.address, 0, 4)
    expect(program.process.memory.lockedPages).toBe(4)
  })

  it('leaves nothing behind when part of the memory is missing', () => {
    const { machine, program, container } = opened()
    const memory = program.memory(2)
    expect(errnoOf(() => program.map(container, memory.address, 0x5000, 3))).toBe('EFAULT')
    expect(program.process.memory.lockedPages).toBe(0)
    const domain = domainOf(machine, NIC)
    expect([5, 6, 7].map((page) => domain.physicalPage(page))).toEqual([-1, -1, -1])
    expect(program.unmap(container, 0, 0x100000)).toBe(0)
  })

  it('keeps pages that the program unmapped, until the device cannot reach them any more', () => {
    const { machine, program, container } = opened()
    const { memory } = machine.context
    const buffer = program.memory(512)
    program.map(container, buffer.address, 0, 512)
    const physical = domainOf(machine, NIC).physicalPage(7)
    buffer.release()
    const other = new Program(machine, { pid: 200 }).memory(2000)
    const first = memory.usedPages
    const tables = (machine.iommu.groups.get(3)?.domain?.tableBytes ?? 0) / 4096
    expect(domainOf(machine, NIC).physicalPage(7)).toBe(physical)
    expect(other.bytes.length).toBe(2000 * 4096)
    program.unmap(container, 0, 512 * 4096)
    expect(memory.usedPages).toBeLessThanOrEqual(first - 512)
    program.map(container, program.memory(3).address, 0, 3)
    program.exit()
    expect(memory.usedPages).toBe(first - 512 - tables)
  })
})

describe('IOMMU_UNMAP_DMA', () => {
  it('version 2: whole mappings, several at once, never a part of one', () => {
    const { machine, program, container } = opened()
    const memory = program.memory(8)
    const unmap = (iova: number, size: number): number | string => {
      let unmapped = -1
      const code = errnoOf(() => {
        unmapped = program.unmap(container, iova, size)
      })
      return code === 'ok' ? unmapped : code
    }
    for (const n of [0, 4, 8]) program.map(container, memory.address, n * 0x1000, 4)
    expect(unmap(0x1000, 0x3000)).toBe('EINVAL')
    expect(unmap(0, 0x2000)).toBe('EINVAL')
    expect(unmap(0x2000, 0x4000)).toBe('EINVAL')
    expect(unmap(0x800, 0x1000)).toBe('EINVAL')
    expect(unmap(0, 0x800)).toBe('EINVAL')
    expect(unmap(0, 0)).toBe('EINVAL')
    expect(unmap(0x100000, 0x1000)).toBe(0)
    expect(unmap(0, 0x8000)).toBe(0x8000)
    expect(domainOf(machine, NIC).physicalPage(7)).toBe(-1)
    expect(domainOf(machine, NIC).physicalPage(8)).not.toBe(-1)
    expect(unmap(0, 0x100000)).toBe(0x4000)
  })

  it.each([
    ['6.1.192', 0, 'EINVAL'],
    ['6.12.117', 0, 'EINVAL'],
    ['6.18.0', 0x4000, 'EEXIST'],
  ])('up to the last address of all finds what %s finds', (release, unmapped, mapped) => {
    const { program, container } = opened({ release })
    program.map(container, program.memory(4).address, 0x4000, 4)
    const rest = 2 ** 64 - 0x1000
    const onto = { iova: wide(0x1000), vaddr: wide(0), size: wide(rest) }
    expect(mapWith(program, container, onto)).toBe(mapped)
    expect(program.unmap(container, 0x1000, rest)).toBe(unmapped)
    expect(program.unmap(container, 0, 0, 2)).toBe(0x4000 - unmapped)
  })

  it('version 1: a range from inside unmaps nothing, one over the start unmaps all', () => {
    const { program, container } = opened({}, 1)
    const memory = program.memory(8)
    program.map(container, memory.address, 0, 8)
    expect(program.unmap(container, 0x1000, 0x1000)).toBe(0)
    expect(program.unmap(container, 0, 0x1000)).toBe(0x8000)
    expect(program.unmap(container, 0, 0x1000)).toBe(0)
  })

  it('ALL: only without a range', () => {
    const { program, container } = opened()
    const memory = program.memory(1)
    program.map(container, memory.address, 0x1000, 1)
    program.map(container, memory.address, 0x7fff000000, 1)
    expect(errnoOf(() => program.unmap(container, 0x1000, 0, 2))).toBe('EINVAL')
    expect(errnoOf(() => program.unmap(container, 0, 0x1000, 2))).toBe('EINVAL')
    expect(program.unmap(container, 0, 0, 2)).toBe(0x2000)
    expect(program.unmap(container, 0, 0, 2)).toBe(0)
    expect(errnoOf(() => program.unmap(container, 0, 0x1000, 8))).toBe('EINVAL')
    expect(errnoOf(() => program.unmap(container, 0, 0x1000, 3))).toBe('EINVAL')
  })

  it('VADDR: addresses become invalid, and valid again with a new one', () => {
    const { machine, program, container, group } = opened()
    const memory = program.memory(2)
    program.map(container, memory.address, 0, 1)
    program.map(container, memory.address, 0x1000, 1)
    const update = (iova: number, pages: number): string =>
      mapWith(program, container, {
        flags: 4,
        iova: wide(iova),
        size: wide(pages * 4096),
        vaddr: wide(memory.address),
      })
    expect(update(0, 1)).toBe('EINVAL')
    expect(program.unmap(container, 0, 0x1000, 4)).toBe(0x1000)
    expect(errnoOf(() => program.unmap(container, 0, 0x2000, 4))).toBe('EINVAL')
    // Pages stay reachable, but nobody may join now.
    expect(domainOf(machine, NIC).physicalPage(0)).not.toBe(-1)
    bind(machine, EDU)
    const second = program.group(EDU)
    expect(errnoOf(() => program.setContainer(second, container))).toBe('EBUSY')
    expect(update(0, 2)).toBe('EINVAL')
    expect(update(0, 1)).toBe('ok')
    expect(errnoOf(() => program.setContainer(second, container))).toBe('ok')
    expect(group).toBeGreaterThan(0)
  })

  it('keeps accounts that agree with a plain list of mappings, whatever is asked', () => {
    const step = fc.record({
      map: fc.boolean(),
      page: fc.nat({ max: 30 }),
      pages: fc.integer({ min: 1, max: 6 }),
      source: fc.nat({ max: 10 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { machine, program, container } = opened()
        const domain = domainOf(machine, NIC)
        const memory = program.memory(16)
        const first = memory.address / 4096
        const reached = new Map<number, number>()
        let mappings: { page: number; pages: number }[] = []
        for (const { map, page, pages, source } of steps) {
          const end = page + pages
          const touched = mappings.filter((m) => m.page < end && page < m.page + m.pages)
          const whole = touched.every((m) => m.page >= page && m.page + m.pages <= end)
          if (map) {
            const address = memory.address + source * 4096
            const code = errnoOf(() => program.map(container, address, page * 4096, pages))
            expect(code).toBe(touched.length === 0 ? 'ok' : 'EEXIST')
            if (code !== 'ok') continue
            mappings.push({ page, pages })
            for (let n = 0; n < pages; n += 1) reached.set(page + n, first + source + n)
          } else {
            let size = -1
            const code = errnoOf(() => {
              size = program.unmap(container, page * 4096, pages * 4096)
            })
            expect(code).toBe(whole ? 'ok' : 'EINVAL')
            if (code !== 'ok') continue
            expect(size).toBe(touched.reduce((sum, m) => sum + m.pages * 4096, 0))
            mappings = mappings.filter((m) => !touched.includes(m))
            for (const m of touched) {
              for (let n = 0; n < m.pages; n += 1) reached.delete(m.page + n)
            }
          }
          expect(program.process.memory.lockedPages).toBe(reached.size)
          for (let n = 0; n < 40; n += 1) {
            const virtual = reached.get(n)
            const expected =
              virtual === undefined ? -1 : program.process.memory.physicalPage(virtual)
            expect(domain.physicalPage(n)).toBe(expected)
          }
        }
      }),
      { numRuns: 30 },
    )
  })
})
