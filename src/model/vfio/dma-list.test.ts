import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testContext } from '../iommu/fake-unit.case.ts'
import { UserProcess } from '../user-process.ts'
import { DmaList, type Mapping } from './dma-list.ts'

const process = new UserProcess(testContext(), { name: 'a', pid: 2 })

function mapping(iovaPage: number, pages: number): Mapping {
  return {
    iovaPage,
    pages,
    virtualPage: 0,
    access: 3,
    process,
    unlimited: true,
    pinned: [],
    vaddrInvalid: false,
  }
}

const ranges = fc.array(
  fc.record({
    add: fc.boolean(),
    iovaPage: fc.nat({ max: 60 }),
    pages: fc.integer({ min: 1, max: 9 }),
  }),
  { maxLength: 60 },
)

describe('DmaList', () => {
  it('finds what a plain list finds, whatever was added and removed', () => {
    fc.assert(
      fc.property(ranges, (steps) => {
        const list = new DmaList()
        let plain: Mapping[] = []
        for (const { add, iovaPage, pages } of steps) {
          const overlapping = plain
            .filter((one) => one.iovaPage < iovaPage + pages && iovaPage < one.iovaPage + one.pages)
            .sort((a, b) => a.iovaPage - b.iovaPage)
          expect(list.find(iovaPage, pages)).toBe(overlapping[0])
          expect(list.within(iovaPage, pages)).toEqual(overlapping)
          if (add && overlapping.length === 0) {
            const fresh = mapping(iovaPage, pages)
            list.add(fresh)
            plain.push(fresh)
          }
          if (!add) {
            list.remove(overlapping)
            plain = plain.filter((one) => !overlapping.includes(one))
          }
          expect(list.size).toBe(plain.length)
          expect([...list]).toEqual([...plain].sort((a, b) => a.iovaPage - b.iovaPage))
        }
      }),
    )
  })
})
