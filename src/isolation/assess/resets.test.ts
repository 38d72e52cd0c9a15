import { describe, expect, it } from 'vitest'
import { known } from '../../base/fact.ts'
import type { DescribedFunction } from '../snapshot.case.ts'
import {
  assessSnapshot,
  groupIn,
  NOT_READ,
  pick,
  snapshotOf,
  type TestHost,
} from './assess.case.ts'
import type { Guarantee } from './guarantee.ts'

const BRIDGE = 0x060400
const PORT = {
  at: '0000:00:01.0',
  type: 4,
  acs: [0x5f, 0x1d] as const,
  classCode: BRIDGE,
  group: '0',
}
const CARD: DescribedFunction = {
  at: '0000:01:00.0',
  parent: PORT.at,
  group: '1',
  resetMethods: [],
}
const MATE: DescribedFunction = { ...CARD, at: '0000:01:00.1', group: '2' }

function reset(
  functions: readonly DescribedFunction[],
  id: string,
  more?: Partial<TestHost>,
): Guarantee {
  return groupIn({ functions, ...more }, id).strength.reset
}

describe('reset with the bus', () => {
  it('is yes for a lone function behind a bridge, without asking for its methods', () => {
    const snapshot = snapshotOf({ functions: [PORT, CARD] })
    const functions = snapshot.functions.map((fn) =>
      Object.defineProperty({ ...fn }, 'resetMethods', {
        get: () => fail('the reset methods were read'),
      }),
    )
    expect(pick(assessSnapshot({ ...snapshot, functions }), '1').strength.reset).toEqual({
      verdict: 'yes',
      evidence: 'a reset of the bus behind 0000:00:01.0 hits only members of this group',
    })
  })

  it('is no when the bus holds a function of another group and nothing else is possible', () => {
    const bus = { ...CARD, resetMethods: ['bus'] }
    expect(reset([PORT, bus, MATE], '1')).toEqual({
      verdict: 'no',
      evidence:
        '0000:01:00.0 can only be reset with its bus (bus), which hits devices outside this group',
    })
  })

  it('is yes when all functions of the bus, and of buses behind it, are in the group', () => {
    expect(reset([PORT, CARD, { ...MATE, group: '1' }], '1').verdict).toBe('yes')
    const bridge = { at: '0000:01:01.0', parent: PORT.at, type: 7, classCode: BRIDGE, group: '1' }
    const far = { ...MATE, at: '0000:02:00.0', parent: bridge.at }
    expect(reset([PORT, CARD, bridge, { ...far, group: '1' }], '1').verdict).toBe('yes')
    expect(reset([PORT, CARD, bridge, far], '1').verdict).toBe('no')
  })

  it('does not count for devices and bridges that do not come back from it', () => {
    expect(reset([PORT, { ...CARD, ids: '168c:0030' }], '1').verdict).toBe('no')
    expect(reset([PORT, { ...CARD, ids: '10de:2342' }], '1').verdict).toBe('no')
    expect(reset([{ ...PORT, ids: '177d:a100' }, CARD], '1').verdict).toBe('no')
    expect(reset([PORT, { ...CARD, ids: '10de:1b80' }], '1').verdict).toBe('yes')
  })

  it('is not there on a root bus', () => {
    expect(reset([{ at: '0000:00:1f.2', group: '1', resetMethods: [] }], '1').verdict).toBe('no')
  })
})

describe('reset of one function', () => {
  it.each(['flr', 'af_flr', 'pm', 'acpi', 'device_specific'])('%s is enough', (method) => {
    const verdict = reset([PORT, { ...CARD, resetMethods: ['bus', method] }, MATE], '1')
    expect(verdict).toEqual({
      verdict: 'yes',
      evidence: `0000:01:00.0 can reset itself: ${method}`,
    })
  })

  it('is unknown when the methods could not be read and no capability tells', () => {
    const functionFacts = { [CARD.at]: { resetMethods: NOT_READ } }
    const verdict = reset([PORT, CARD, MATE], '1', { functionFacts })
    expect(verdict.verdict).toBe('unknown')
    expect(verdict.evidence).toContain('permission denied')
  })

  it('is yes by the capability when the methods could not be read, unless it hangs the device', () => {
    const { config } = groupIn({ functions: [PORT, CARD] }, '1').members[0]?.fn ?? fail('no member')
    const facts = { resetMethods: NOT_READ, config: { ...config, functionLevelReset: known(true) } }
    const functionFacts = { [CARD.at]: facts }
    expect(reset([PORT, CARD, MATE], '1', { functionFacts }).verdict).toBe('yes')
    const hanging = { ...CARD, ids: '1022:149c' }
    expect(reset([PORT, hanging, MATE], '1', { functionFacts }).verdict).toBe('unknown')
  })

  it('the worst member decides: no before unknown before yes', () => {
    const functions = [
      { ...CARD, resetMethods: ['flr'] },
      { ...MATE, group: '1', resetMethods: [] },
      { ...MATE, at: '0000:01:00.2', group: '3' },
    ]
    expect(reset([PORT, ...functions], '1').verdict).toBe('no')
    const functionFacts = { [MATE.at]: { resetMethods: NOT_READ } }
    expect(reset([PORT, ...functions], '1', { functionFacts }).verdict).toBe('unknown')
  })
})

describe('reset of virtual functions and bridges', () => {
  const vf: DescribedFunction = { ...MATE, physicalFunction: CARD.at }

  it('virtual functions can always reset themselves', () => {
    expect(reset([PORT, CARD, vf], '2').verdict).toBe('yes')
  })

  it('a reset of the physical function takes its virtual functions along', () => {
    const verdict = reset([PORT, { ...CARD, resetMethods: ['flr'] }, vf], '1')
    expect(verdict.verdict).toBe('no')
    expect(verdict.evidence).toContain('0000:01:00.1')
    expect(reset([PORT, CARD, { ...vf, group: '1' }], '1').verdict).toBe('yes')
  })

  it('a group of bridges needs none', () => {
    expect(reset([PORT], '0').verdict).toBe('yes')
  })

  it('is unknown for members of other buses and members that were not read', () => {
    const others = [{ name: 'dma0', bus: known('platform'), driver: known(null), group: '1' }]
    const groupFacts = { '1': { members: [CARD.at, 'dma0'] } }
    expect(reset([PORT, CARD], '1', { others, groupFacts }).verdict).toBe('unknown')
    expect(reset([PORT, CARD], '1', { groupFacts }).verdict).toBe('unknown')
  })
})

function fail(what: string): never {
  throw new Error(what)
}
