import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IovaSpace } from './iova-space.ts'

const PAGE = 4096
const RANGES = [
  { start: 0x1000, end: 0x1f_ffff },
  { start: 0x30_0000, end: 0x3f_ffff },
]

const anyStep = fc.oneof(
  fc.record({
    kind: fc.constant('allocate' as const),
    pages: fc.integer({ min: 1, max: 64 }),
    shift: fc.integer({ min: 12, max: 16 }),
  }),
  fc.record({
    kind: fc.constant('reserve' as const),
    page: fc.nat(1100),
    pages: fc.integer({ min: 1, max: 32 }),
  }),
  fc.record({ kind: fc.constant('release' as const), which: fc.nat(1000) }),
)

describe('IovaSpace', () => {
  it('gives away what is in its ranges, aligned, once, and takes all back', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 200 }), (steps) => {
        const space = new IovaSpace(RANGES)
        const taken: { start: number; size: number }[] = []
        const isFree = (start: number, size: number): boolean =>
          RANGES.some((range) => range.start <= start && start + size - 1 <= range.end) &&
          taken.every((one) => one.start + one.size <= start || start + size <= one.start)
        for (const step of steps) {
          if (step.kind === 'allocate') {
            const size = step.pages * PAGE
            const start = space.allocate(size, 2 ** step.shift)
            if (start === null) continue
            expect(isFree(start, size)).toBe(true)
            expect(start % 2 ** step.shift).toBe(0)
            taken.push({ start, size })
          } else if (step.kind === 'reserve') {
            const [start, size] = [step.page * PAGE, step.pages * PAGE]
            expect(space.reserve(start, size)).toBe(isFree(start, size))
            if (isFree(start, size)) taken.push({ start, size })
          } else {
            const [one] = taken.splice(step.which % Math.max(1, taken.length), 1)
            if (one !== undefined) space.release(one.start, one.size)
          }
        }
        for (const { start, size } of taken) space.release(start, size)
        expect(space.free()).toEqual(RANGES)
      }),
    )
  })

  it('finds the last place there is', () => {
    const space = new IovaSpace([{ start: 0, end: 3 * PAGE - 1 }])
    expect([1, 2, 3, 4].map(() => space.allocate(PAGE, PAGE))).toEqual([0, PAGE, 2 * PAGE, null])
    space.release(PAGE, PAGE)
    expect(space.allocate(2 * PAGE, PAGE)).toBeNull()
    expect(space.allocate(PAGE, PAGE)).toBe(PAGE)
  })

  it('gives nothing back twice', () => {
    const space = new IovaSpace(RANGES)
    expect(() => {
      space.release(0x2000, PAGE)
    }).toThrow('0x2000 is free already')
  })

  it('has no place beyond what numbers hold, and none without ranges', () => {
    const top = new IovaSpace([{ start: 2 ** 53, end: 2 ** 57 }])
    expect(top.allocate(PAGE, PAGE)).toBeNull()
    expect(new IovaSpace([]).allocate(PAGE, PAGE)).toBeNull()
    expect(new IovaSpace([]).reserve(0, PAGE)).toBe(false)
  })
})
