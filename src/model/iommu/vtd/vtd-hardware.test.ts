/** The hardware alone, on tables that the tests write word by word. */
import { describe, expect, it } from 'vitest'
import { type PhysicalMemory, physicalMemory } from '../../memory/physical-memory.ts'
import { vtdCapabilities } from './capabilities.ts'
import { VtdHardware } from './vtd-hardware.ts'

const ROOT = 10
const CONTEXTS = 11
const [LEVEL_3, LEVEL_2, LEVEL_1] = [12, 13, 14]
const ID = 0x0208
const PAGE = (5 << 18) | (6 << 9) | 7

const CAP = { cap: 'd2008c22260286', ecap: 'f00f4a' }

/** PAGE of device ID leads to page 0x123456 for reading and writing. */
function setUp(attributes: Readonly<Record<string, string>> = CAP): {
  memory: PhysicalMemory
  hardware: VtdHardware
} {
  const memory = physicalMemory(16 * 2 ** 20)
  memory.setWord(ROOT, 2 * 4, CONTEXTS * 4096 + 1)
  memory.setWord(CONTEXTS, 8 * 4, LEVEL_3 * 4096 + 1)
  memory.setWord(CONTEXTS, 8 * 4 + 2, 0x301)
  memory.setWord(LEVEL_3, 5 * 2, LEVEL_2 * 4096 + 3)
  memory.setWord(LEVEL_2, 6 * 2, LEVEL_1 * 4096 + 3)
  memory.setWord(LEVEL_1, 7 * 2, 0x23456003)
  memory.setWord(LEVEL_1, 7 * 2 + 1, 1)
  const hardware = new VtdHardware(memory, vtdCapabilities(attributes))
  hardware.setRootTable(ROOT)
  return { memory, hardware }
}

type Change = readonly [page: number, word: number, value: number]

/** Reason of the fault that a write of the device meets after a change of the tables. */
function reasonAfter(changes: readonly Change[], page = PAGE, write = true): number | undefined {
  const { memory, hardware } = setUp()
  for (const change of changes) memory.setWord(...change)
  expect(hardware.translate(ID, page, write)).toBe(-1)
  return hardware.faults[0]?.reason
}

describe('VT-d hardware', () => {
  it('walks root, context and page tables', () => {
    const { hardware } = setUp()
    expect(hardware.translate(ID, PAGE, true)).toBe(0x123456)
    expect(hardware.translate(ID, PAGE, false)).toBe(0x123456)
    expect(hardware.faults).toEqual([])
  })

  it('lets everything pass while translation is off', () => {
    const { hardware } = setUp()
    hardware.setRootTable(-1)
    expect(hardware.translate(0xffff, 0x999, true)).toBe(0x999)
  })

  it.each<[string, number, Change[]]>([
    ['root entry absent', 1, [[ROOT, 8, 0]]],
    ['root entry with reserved bits', 10, [[ROOT, 8, CONTEXTS * 4096 + 3]]],
    ['context table outside memory', 9, [[ROOT, 9, 0xff]]],
    ['context entry absent', 2, [[CONTEXTS, 32, LEVEL_3 * 4096]]],
    ['context entry with reserved bits', 11, [[CONTEXTS, 32, LEVEL_3 * 4096 + 0x11]]],
    ['context entry with reserved upper bits', 11, [[CONTEXTS, 34, 0x1000301]]],
    ['context entry of type 3', 3, [[CONTEXTS, 32, LEVEL_3 * 4096 + 13]]],
    ['context entry for device TLBs without support', 3, [[CONTEXTS, 32, LEVEL_3 * 4096 + 5]]],
    ['address width that the unit lacks', 3, [[CONTEXTS, 34, 0x302]]],
    ['first table outside memory', 7, [[CONTEXTS, 33, 0xff]]],
    ['next table outside memory', 7, [[LEVEL_2, 13, 0xff]]],
    ['entry absent', 5, [[LEVEL_1, 14, 0]]],
    ['upper entry absent', 5, [[LEVEL_3, 10, 0]]],
    ['write right missing at the page', 5, [[LEVEL_1, 14, 0x23456001]]],
    ['write right missing on the way', 5, [[LEVEL_3, 10, LEVEL_2 * 4096 + 1]]],
    ['large page that is not aligned', 12, [[LEVEL_2, 12, LEVEL_1 * 4096 + 0x83]]],
  ])('faults: %s (reason %i)', (_name, reason, changes) => {
    expect(reasonAfter(changes)).toBe(reason)
  })

  it('faults on reads with a reason of its own', () => {
    expect(reasonAfter([[LEVEL_1, 14, 0x23456002]], PAGE, false)).toBe(6)
    expect(reasonAfter([[LEVEL_1, 14, 0]], PAGE, false)).toBe(6)
  })

  it('faults on addresses wider than the tables', () => {
    expect(reasonAfter([], 2 ** 27)).toBe(4)
    expect(reasonAfter([], 2 ** 27 + PAGE)).toBe(4)
  })

  it('takes 2 MiB and 1 GiB pages only where it has them', () => {
    const { memory, hardware } = setUp()
    memory.setWord(LEVEL_2, 12, 0x40000083)
    expect(hardware.translate(ID, PAGE, true)).toBe(0x40000 + 7)
    memory.setWord(LEVEL_3, 10, 0x40000083)
    expect(hardware.translate(ID, PAGE + 1, true)).toBe(0x40000 + (6 << 9) + 8)
    const without = setUp({ ...CAP, cap: 'd2000022260286' })
    without.memory.setWord(LEVEL_2, 12, 0x40000083)
    expect(without.hardware.translate(ID, PAGE, true)).toBe(-1)
    expect(without.hardware.faults[0]?.reason).toBe(12)
  })

  it('keeps translations until told to forget them', () => {
    const { memory, hardware } = setUp()
    hardware.translate(ID, PAGE, true)
    memory.setWord(LEVEL_1, 14, 0)
    expect(hardware.translate(ID, PAGE, true)).toBe(0x123456)
    hardware.invalidatePages(4, PAGE, 1)
    hardware.invalidateDomain(4)
    hardware.invalidatePages(3, PAGE + 1, 1)
    expect(hardware.translate(ID, PAGE, true)).toBe(0x123456)
    hardware.invalidatePages(3, PAGE - 1, 2)
    expect(hardware.translate(ID, PAGE, true)).toBe(-1)
  })

  it('keeps context entries until told to forget them', () => {
    const { memory, hardware } = setUp()
    hardware.translate(ID, PAGE, true)
    memory.setWord(CONTEXTS, 32, 0)
    hardware.invalidateDomain(3)
    hardware.invalidateContext(ID + 1)
    expect(hardware.translate(ID, PAGE, true)).toBe(0x123456)
    hardware.invalidateContext(ID)
    expect(hardware.translate(ID, PAGE, true)).toBe(-1)
  })

  it('shares what it remembers among the devices of a domain', () => {
    const { memory, hardware } = setUp()
    memory.setWord(CONTEXTS, 9 * 4, 999 * 4096 + 1)
    memory.setWord(CONTEXTS, 9 * 4 + 2, 0x301)
    hardware.translate(ID, PAGE, true)
    expect(hardware.translate(ID + 1, PAGE, true)).toBe(0x123456)
  })

  it('does not take a remembered right to read for one to write', () => {
    const { memory, hardware } = setUp()
    memory.setWord(LEVEL_2, 12, LEVEL_1 * 4096 + 1)
    expect(hardware.translate(ID, PAGE, false)).toBe(0x123456)
    expect(hardware.translate(ID, PAGE, true)).toBe(-1)
  })

  it('records as many faults as it has registers, and that it lost some', () => {
    // One register; then eight.
    const { hardware } = setUp()
    hardware.translate(ID, 1, true)
    expect(hardware.faultsOverflowed).toBe(false)
    hardware.translate(ID, 2, false)
    expect(hardware.faults).toEqual([
      { requester: ID, page: 1, write: true, reason: 5, text: 'PTE Write access is not set' },
    ])
    expect(hardware.faultsOverflowed).toBe(true)
    hardware.clearFaults()
    expect(hardware.faultsOverflowed).toBe(false)
    hardware.translate(ID, 2, false)
    expect(hardware.faults[0]).toMatchObject({ page: 2, write: false, reason: 6 })
    const eight = setUp({ ...CAP, cap: 'd2078c22260286' }).hardware
    for (let page = 0; page < 9; page += 1) eight.translate(ID, page, true)
    expect(eight.faults.length).toBe(8)
  })

  it('does not record faults of an entry with fault processing disabled', () => {
    const { memory, hardware } = setUp()
    memory.setWord(CONTEXTS, 32, LEVEL_3 * 4096 + 3)
    memory.setWord(CONTEXTS, 34, 0x302)
    expect(hardware.translate(ID, PAGE, true)).toBe(-1)
    expect(hardware.faults).toEqual([])
  })
})
