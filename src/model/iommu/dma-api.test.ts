import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DmaApi } from './dma-api.ts'
import { READ, WRITE } from './domain.ts'
import { FakeDomain, FakeUnit, testContext } from './fake-unit.case.ts'
import { IommuCore } from './iommu-core.ts'
import { IovaSpace } from './iova-space.ts'
import { PciTree } from './pci-tree.case.ts'
import type { PciDevice } from '../pci/pci-device.ts'

interface Host {
  readonly core: IommuCore
  readonly unit: FakeUnit
  readonly dma: DmaApi
  readonly device: PciDevice
  readonly sibling: PciDevice
}

function host(commandLine = '', unit = new FakeUnit()): Host {
  const context = testContext('6.12.0', commandLine)
  const core = new IommuCore(context)
  const tree = new PciTree()
  const [device, sibling] = [0, 1].map((n) =>
    tree.plug(`0000:00:1f.${String(n)}`, { type: null, multifunction: true }),
  ) as [PciDevice, PciDevice]
  core.registerUnit(unit, [tree.bus])
  return { core, unit, dma: new DmaApi(context, core), device, sibling }
}

describe('DmaApi', () => {
  it('maps through the default domain that a group shares, from the top of 4 GiB down', () => {
    const { dma, device, sibling } = host()
    const domain = device.iommuGroup?.defaultDomain
    const one = dma.map(device, 0x55, 1, READ)
    const two = dma.map(sibling, 0x77, 4, WRITE)
    expect([one, two]).toEqual([0xfffff, 0xffff8])
    expect([one, two, two + 3].map((page) => domain?.physicalPage(page))).toEqual([
      0x55, 0x77, 0x7a,
    ])
    dma.unmap(device, one, 1)
    expect(domain?.physicalPage(one)).toBe(-1)
  })

  it('goes above 4 GiB only when nothing is left below', () => {
    const unit = new FakeUnit()
    unit.reserve('0000:00:1f.1', [{ firstPage: 0x10, lastPage: 0xfffff, kind: 'reserved' }])
    const { dma, device } = host('', unit)
    const pages = Array.from({ length: 17 }, () => dma.map(device, 1, 1, READ))
    expect(pages.filter((page) => page < 0x10)).toHaveLength(15)
    expect(pages.slice(15)).toEqual([2 ** 27 - 1, 2 ** 27 - 2])
  })

  it('never hands out reserved addresses', () => {
    const unit = new FakeUnit()
    unit.geometry = { firstPage: 0, lastPage: 0xfef00 }
    const { dma, device } = host('', unit)
    expect([dma.map(device, 1, 1, READ), dma.map(device, 1, 1, READ)]).toEqual([0xfef00, 0xfedff])
  })

  it('uses physical addresses in identity domains and without a group', () => {
    const identity = host('iommu=pt')
    expect(identity.dma.map(identity.device, 0x123, 2, READ)).toBe(0x123)
    identity.dma.unmap(identity.device, 0x123, 2)
    const unit = new FakeUnit()
    unit.isolates = false
    const gart = host('', unit)
    expect(gart.dma.map(gart.device, 0x123, 2, READ)).toBe(0x123)
  })

  it('gives coherent memory and takes it back', () => {
    const { dma, device } = host()
    const first = dma.allocateCoherent(device, 3)
    expect(device.iommuGroup?.defaultDomain?.physicalPage(first.iovaPage + 2)).toBe(
      first.physicalPage + 2,
    )
    dma.freeCoherent(device, first)
    expect(dma.allocateCoherent(device, 3)).toEqual(first)
  })

  it('takes nothing when the domain has no room for tables', () => {
    const { dma, device } = host()
    const domain = device.iommuGroup?.defaultDomain
    if (!(domain instanceof FakeDomain)) throw new Error('no domain')
    domain.full = true
    expect(() => dma.map(device, 1, 1, READ)).toThrow('ENOMEM')
    domain.full = false
    expect(dma.map(device, 1, 1, READ)).toBe(0xfffff)
  })
})

describe('IovaSpace', () => {
  it('aligns ranges to their size and reuses what was freed', () => {
    const space = new IovaSpace({ firstPage: 0, lastPage: 99 }, [])
    const one = space.allocate(1, 99)
    const eight = space.allocate(5, 99)
    expect([one, eight]).toEqual([99, 88])
    space.free(one)
    expect(space.allocate(1, 99)).toBe(99)
    expect(() => space.free(50)).toThrow('not allocated')
  })

  it('looks above the last allocation again before it gives up', () => {
    const space = new IovaSpace({ firstPage: 0, lastPage: 7 }, [])
    for (let n = 7; n >= 1; n -= 1) expect(space.allocate(1, 7)).toBe(n)
    expect(() => space.allocate(1, 7)).toThrow('ENOMEM')
    space.free(6)
    expect(space.allocate(1, 7)).toBe(6)
  })

  it('finds gaps that alignment left above', () => {
    const space = new IovaSpace({ firstPage: 8, lastPage: 23 }, [])
    expect([space.allocate(1, 23), space.allocate(8, 23)]).toEqual([23, 8])
    expect(space.allocate(1, 23)).toBe(22)
  })

  const operations = fc.array(
    fc.record({ allocate: fc.boolean(), pages: fc.integer({ min: 1, max: 40 }), pick: fc.nat() }),
    { maxLength: 60 },
  )
  const regions = fc.array(fc.record({ start: fc.nat(255), length: fc.nat(40) }), { maxLength: 4 })

  it('hands out pages that nobody else has, inside the limits', () => {
    fc.assert(
      fc.property(operations, regions, (list, reserved) => {
        const geometry = { firstPage: 3, lastPage: 255 }
        const taken = new Map<number, number>()
        const space = new IovaSpace(
          geometry,
          reserved.map(({ start, length }) => ({
            firstPage: start,
            lastPage: start + length,
            kind: 'reserved' as const,
          })),
        )
        for (const { allocate, pages, pick } of list) {
          const held = [...taken.keys()]
          const free = held[pick % Math.max(1, held.length)]
          if (!allocate && free !== undefined) {
            space.free(free)
            taken.delete(free)
            continue
          }
          let first: number
          try {
            first = space.allocate(pages, 200)
          } catch {
            continue
          }
          const last = first + pages - 1
          expect(first >= 3 && last <= 200).toBe(true)
          for (const [other, count] of taken) {
            expect(last < other || first >= other + count).toBe(true)
          }
          for (const { start, length } of reserved) {
            expect(last < start || first > start + length).toBe(true)
          }
          taken.set(first, pages)
        }
      }),
    )
  })
})
