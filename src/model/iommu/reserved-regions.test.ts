import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatRegions, mergeRegions } from './reserved-regions.ts'
import type { ReservedRegion } from './unit.ts'

const KINDS = ['direct', 'direct-relaxable', 'reserved', 'msi'] as const

function region(
  firstPage: number,
  lastPage: number,
  kind: ReservedRegion['kind'] = 'direct',
): ReservedRegion {
  return { firstPage, lastPage, kind }
}

describe('mergeRegions', () => {
  it('merges regions of one kind that overlap or touch, and no others', () => {
    expect(
      mergeRegions([region(9, 9), region(1, 2), region(3, 4), region(6, 6), region(4, 4)]),
    ).toEqual([region(1, 4), region(6, 6), region(9, 9)])
  })

  it('keeps kinds apart where they overlap, sorted by start, then kind', () => {
    expect(mergeRegions([region(1, 5, 'msi'), region(1, 5), region(0, 9, 'reserved')])).toEqual([
      region(0, 9, 'reserved'),
      region(1, 5),
      region(1, 5, 'msi'),
    ])
  })

  it('merges across a region of another kind in between', () => {
    expect(mergeRegions([region(1, 8), region(2, 3, 'msi'), region(9, 9)])).toEqual([
      region(1, 9),
      region(2, 3, 'msi'),
    ])
  })

  const pages = fc.record({ start: fc.nat(30), length: fc.nat(6), kind: fc.constantFrom(...KINDS) })

  it('covers the same pages for each kind, with gaps between regions', () => {
    fc.assert(
      fc.property(fc.array(pages), (list) => {
        const regions = list.map((r) => region(r.start, r.start + r.length, r.kind))
        const merged = mergeRegions(regions)
        for (const kind of KINDS) {
          const covered = (of: readonly ReservedRegion[]): boolean[] =>
            Array.from({ length: 40 }, (_, page) =>
              of.some((r) => r.kind === kind && r.firstPage <= page && page <= r.lastPage),
            )
          expect(covered(merged)).toEqual(covered(regions))
          const own = merged.filter((r) => r.kind === kind)
          for (const [n, r] of own.entries()) {
            expect(r.firstPage).toBeGreaterThan((own[n - 1]?.lastPage ?? -2) + 1)
          }
        }
      }),
    )
  })
})

describe('formatRegions', () => {
  it('prints 64-bit addresses with inclusive ends', () => {
    expect(
      formatRegions([region(0xfee00, 0xfeeff, 'msi'), region(0xfd00000, 0xfffffff, 'reserved')]),
    ).toBe(
      '0x00000000fee00000 0x00000000feefffff msi\n0x000000fd00000000 0x000000ffffffffff reserved\n',
    )
    expect(formatRegions([])).toBe('')
  })
})
