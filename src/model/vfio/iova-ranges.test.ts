import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isAllowed, restrict } from './iova-ranges.ts'
import { errnoOf } from './machine.case.ts'

const geometry = { firstPage: 0, lastPage: 99 }

describe('restrict', () => {
  it('is the intersection of geometries minus everything reserved, page by page', () => {
    const region = fc.record({
      firstPage: fc.nat({ max: 110 }),
      length: fc.integer({ min: 1, max: 20 }),
      kind: fc.constantFrom('direct', 'direct-relaxable', 'reserved', 'msi'),
    })
    fc.assert(
      fc.property(fc.array(region, { maxLength: 5 }), fc.nat({ max: 90 }), (list, first) => {
        const regions = list.map(({ firstPage, length, kind }) => ({
          firstPage,
          lastPage: firstPage + length - 1,
          kind,
        }))
        const second = { firstPage: first, lastPage: 95 }
        const expected = Array.from({ length: 100 }, (_, page) => page).filter(
          (page) =>
            page >= first &&
            page <= 95 &&
            regions.every(
              ({ kind, firstPage, lastPage }) =>
                kind === 'direct-relaxable' || page < firstPage || page > lastPage,
            ),
        )
        let ranges: ReturnType<typeof restrict> = []
        const code = errnoOf(() => {
          ranges = restrict(restrict([], geometry, regions), second, [])
        })
        expect(code).toBe(expected.length === 0 ? 'EINVAL' : 'ok')
        if (code !== 'ok') return
        const found = ranges.flatMap(({ firstPage, lastPage }) =>
          Array.from({ length: lastPage - firstPage + 1 }, (_, n) => firstPage + n),
        )
        expect(found).toEqual(expected)
      }),
    )
  })

  it('lets a mapping lie in one range only', () => {
    const ranges = [
      { firstPage: 0, lastPage: 9 },
      { firstPage: 20, lastPage: 29 },
    ]
    expect(isAllowed(ranges, 0, 10)).toBe(true)
    expect(isAllowed(ranges, 5, 6)).toBe(false)
    expect(isAllowed(ranges, 9, 12)).toBe(false)
    expect(isAllowed([], 5, 6)).toBe(true)
  })
})
