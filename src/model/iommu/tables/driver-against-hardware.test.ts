/**
 * The drivers write tables, the hardware reads them, and a plain map knows what should come out: none of
 * the three shares code with the others.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { IommuDescription } from '../../machine/description.ts'
import { type Domain, READ, WRITE } from '../domain.ts'
import type { IommuUnit } from '../unit.ts'
import { createUnits } from '../units.ts'
import { context, description, pciDevices } from './machine.case.ts'

interface Subject {
  readonly name: string
  readonly kind: IommuDescription['kind']
  readonly attributes?: Readonly<Record<string, string>>
  /** First pages of the areas that are used: around the places where another table begins. */
  readonly areas: readonly number[]
  /** Pages of the mappings' largest size in reach of the test. */
  readonly largest: number
  /** Writing implies reading (POWER), or there are no rights at all (GART). */
  readonly rights: (access: number) => number
}

const exact = (access: number): number => access
const LEVEL_3 = 2 ** 18 - 1024
const LEVEL_4 = 2 ** 27 - 1024
const LEVEL_5 = 2 ** 36 - 1024

const SUBJECTS: readonly Subject[] = [
  {
    name: 'VT-d, 4 levels',
    kind: 'intel',
    areas: [0, LEVEL_3, LEVEL_4 - 2 ** 26],
    largest: 512,
    rights: exact,
  },
  {
    name: 'VT-d, 3 levels, 4 KiB pages only',
    kind: 'intel',
    attributes: { cap: 'd2000022260286', ecap: 'f00f4a' },
    areas: [0, LEVEL_3],
    largest: 1,
    rights: exact,
  },
  {
    name: 'VT-d, 5 levels',
    kind: 'intel',
    attributes: { cap: 'd2008c00380e06', ecap: 'f050da' },
    areas: [0, LEVEL_4, LEVEL_5],
    largest: 512,
    rights: exact,
  },
  {
    name: 'AMD-Vi',
    kind: 'amd',
    areas: [0, LEVEL_3, LEVEL_4 + 1024, LEVEL_5],
    largest: 2048,
    rights: exact,
  },
  {
    name: 'POWER',
    kind: 'power',
    areas: [0, LEVEL_3],
    largest: 1,
    rights: (access) => (access & WRITE ? READ | WRITE : READ),
  },
  { name: 'GART', kind: 'gart', areas: [0xdc000], largest: 1, rights: () => READ | WRITE },
]

/** Pages in an area: reaches over two borders of 2 MiB. */
const AREA = 2048

function setUp(subject: Subject): { unit: IommuUnit; domain: Domain; requester: number } {
  const [device] = pciDevices(1)
  if (device === undefined) throw new Error('no device')
  const { kind, attributes = {} } = subject
  const partitions = [{ pe: 1, functions: [device.name] }]
  const units = [{ name: 'unit0', attributes, scope: null }]
  const [unit] = createUnits(context(), description(kind, { units, partitions }))
  if (unit === undefined) throw new Error('no unit')
  const domain = unit.createDomain('DMA')
  unit.attach(device, domain)
  return { unit, domain, requester: 0x100 }
}

/** What the hardware makes of a page: where it leads, and what is allowed. */
function probe(unit: IommuUnit, requester: number, page: number): readonly [number, number] {
  const read = unit.hardware.translate(requester, page, false)
  unit.hardware.clearFaults()
  const written = unit.hardware.translate(requester, page, true)
  unit.hardware.clearFaults()
  const access = (read === -1 ? 0 : READ) | (written === -1 ? 0 : WRITE)
  return [Math.max(read, written), access]
}

const step = fc.record({
  map: fc.boolean(),
  area: fc.nat(),
  offset: fc.oneof(fc.nat(AREA - 1), fc.constantFrom(0, 512, 1024, 1536)),
  pages: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(512, 513, 1024, 1500)),
  physical: fc.oneof(
    fc.nat(2 ** 16),
    fc.nat(100).map((n) => n * 512),
    fc.nat(9).map((n) => n + 2 ** 21),
  ),
  access: fc.constantFrom(READ, WRITE, READ | WRITE),
})

describe.each(SUBJECTS)('$name', (subject) => {
  it('translates what was mapped, and nothing else', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const { unit, domain, requester } = setUp(subject)
        const oracle = new Map<number, readonly [number, number]>()
        for (const one of steps) {
          const area = subject.areas[one.area % subject.areas.length] ?? 0
          const first = area + one.offset
          const pages = Math.min(one.pages, AREA - one.offset)
          const range = Array.from({ length: pages }, (_, n) => first + n)
          if (one.map) {
            const free = range.every((page) => !oracle.has(page))
            const bytes = domain.tableBytes
            if (!free) {
              expect(() => domain.map(first, one.physical, pages, one.access)).toThrow('EEXIST')
              // A tree that has grown a level to reach the end of the range keeps it.
              const grown = subject.kind === 'amd' && first + pages > 2 ** 36 ? 4096 : 0
              expect([bytes, bytes + grown]).toContain(domain.tableBytes)
              continue
            }
            domain.map(first, one.physical, pages, one.access)
            for (const [n, page] of range.entries()) {
              oracle.set(page, [one.physical + n, subject.rights(one.access)])
            }
          } else {
            const removed = domain.unmap(first, pages)
            const gone = [...oracle.keys()].filter((page) => domain.physicalPage(page) === -1)
            expect(removed).toBe(gone.length)
            for (const page of gone) {
              // Beyond the range only with a large page that reaches into it.
              const block = page - (page % subject.largest)
              expect(block < first + pages && block + subject.largest > first).toBe(true)
              oracle.delete(page)
            }
            expect(range.some((page) => oracle.has(page))).toBe(false)
          }
        }
        for (const area of subject.areas) {
          for (let page = area; page < area + AREA; page += 1) {
            const expected = oracle.get(page) ?? [-1, 0]
            const found = probe(unit, requester, page)
            if (found[0] !== expected[0] || found[1] !== expected[1]) {
              expect({ page, found }).toEqual({ page, found: expected })
            }
            if (domain.physicalPage(page) !== expected[0]) {
              expect([page, domain.physicalPage(page)]).toEqual([page, expected[0]])
            }
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it('forgets a page the moment it is unmapped, also one the hardware remembers', () => {
    const { unit, domain, requester } = setUp(subject)
    const page = (subject.areas[0] ?? 0) + 5
    for (const target of [77, 78]) {
      domain.map(page, target, 1, READ | WRITE)
      expect(unit.hardware.translate(requester, page, true)).toBe(target)
      expect(domain.unmap(page, 1)).toBe(1)
      expect(unit.hardware.translate(requester, page, true)).toBe(-1)
      unit.hardware.clearFaults()
    }
  })
})

const TREES = SUBJECTS.filter(({ kind }) => kind !== 'gart')

describe.each(TREES)('tables of $name', (subject) => {
  it('are all given back after the last unmap, and the root with the domain', () => {
    const machine = context()
    const [unit] = createUnits(
      machine,
      description(subject.kind, {
        units: [{ name: 'u', attributes: subject.attributes ?? {}, scope: null }],
      }),
    )
    const before = machine.memory.usedPages
    const domain = unit?.createDomain('unmanaged')
    if (domain === undefined) throw new Error('no unit')
    expect(domain.tableBytes).toBe(4096)
    for (const area of subject.areas) domain.map(area, 3, 1025, READ)
    expect(machine.memory.usedPages - before).toBe(domain.tableBytes / 4096)
    expect(domain.tableBytes).toBeGreaterThan(4096 * 3)
    for (const area of subject.areas) domain.unmap(area, 1025)
    // AMD tables keep the levels they have grown, each with one table.
    const roots = subject.kind === 'amd' ? 3 : 1
    expect(domain.tableBytes).toBeLessThanOrEqual(4096 * roots)
    domain.map(subject.areas[0] ?? 0, 1, 700, READ)
    domain.destroy()
    expect(machine.memory.usedPages).toBe(before)
    expect(domain.tableBytes).toBe(0)
  })

  it('leave nothing behind when memory runs out in the middle of a mapping', () => {
    const machine = context('6.12.0', 8 * 2 ** 20)
    const [unit] = createUnits(
      machine,
      description(subject.kind, {
        units: [{ name: 'u', attributes: subject.attributes ?? {}, scope: null }],
      }),
    )
    const domain = unit?.createDomain('unmanaged')
    if (domain === undefined) throw new Error('no unit')
    const { memory } = machine
    const taken: number[] = []
    while (memory.totalPages - memory.usedPages > 6) taken.push(memory.allocate(1))
    const before = domain.tableBytes
    expect(() => domain.map(7, 8, 512 * 20, READ)).toThrow('ENOMEM')
    expect(domain.tableBytes).toBe(before)
    expect(domain.physicalPage(7)).toBe(-1)
    domain.map(7, 8, 1, READ)
    expect(domain.physicalPage(7)).toBe(8)
    // Not even the tables of a single page fit.
    const small = unit?.createDomain('unmanaged')
    // Page 0 is never handed out: one page is left, for the first of two or three tables.
    while (memory.totalPages - memory.usedPages > 2) taken.push(memory.allocate(1))
    if (memory.totalPages - memory.usedPages < 2) memory.free(taken.pop() ?? 0, 1)
    expect(() => small?.map(7, 8, 1, READ)).toThrow('ENOMEM')
    expect(small?.tableBytes).toBe(4096)
    expect(taken.length).toBeGreaterThan(0)
  })
})
