import { describe, expect, it } from 'vitest'
import type { Assessment } from '../assess/assess.ts'
import { no, yes } from '../assess/guarantee.ts'
import type { Strength } from '../assess/strength.ts'
import type { Viability } from '../assess/viability.ts'
import { assessmentDifference } from './difference.ts'

const STRONG: Strength = {
  translation: yes('t'),
  dma: yes('d'),
  p2p: yes('p'),
  msi: yes('m'),
  reset: yes('r'),
  identity: yes('i'),
}
const FREE: Viability = {
  verdict: 'viable',
  rule: 'since-5.19',
  blockers: [],
  unknowns: [],
  owner: 'none',
}

interface Side {
  readonly groups?: readonly (readonly string[])[]
  readonly alone?: readonly string[]
  readonly strength?: Strength
  readonly viability?: Viability
}

/** Only what the comparison looks at. */
function side({ groups = [], alone = [], strength = STRONG, viability = FREE }: Side): Assessment {
  const node = (address: string): object => ({ address })
  return {
    groups: groups.map((members, id) => ({
      id: String(id),
      members: members.map(node),
      others: [],
      unlisted: [],
      strength,
      viability,
    })),
    ungrouped: alone.map((address) => ({ node: node(address), strength })),
  } as unknown as Assessment
}

function summary(
  before: Side,
  after: Side,
  renamed: Readonly<Record<string, string>> = {},
): object {
  const found = assessmentDifference(side(before), side(after), new Map(Object.entries(renamed)))
  return found.map((one) => ({
    kind: one.kind,
    before: one.before.map(({ devices }) => devices.join(' ')),
    after: one.after.map(({ devices }) => devices.join(' ')),
  }))
}

describe('assessmentDifference', () => {
  it('is empty for the same groups under other numbers', () => {
    expect(summary({ groups: [['a'], ['b', 'c']] }, { groups: [['c', 'b'], ['a']] })).toEqual([])
  })

  it('shows a group that falls apart with all its parts', () => {
    expect(summary({ groups: [['a', 'b'], ['c']] }, { groups: [['a'], ['b'], ['c']] })).toEqual([
      { kind: 'regrouped', before: ['a b'], after: ['a', 'b'] },
    ])
  })

  it('keeps apart what has nothing to do with each other, and together what has', () => {
    const before = { groups: [['a', 'b'], ['c', 'd'], ['e'], ['f']] }
    const after = { groups: [['a'], ['b', 'c'], ['d'], ['e', 'f']] }
    expect(summary(before, after)).toEqual([
      { kind: 'regrouped', before: ['a b', 'c d'], after: ['a', 'b c', 'd'] },
      { kind: 'regrouped', before: ['e', 'f'], after: ['e f'] },
    ])
  })

  it('follows devices to their new names', () => {
    expect(summary({ groups: [['a', 'b']] }, { groups: [['x', 'y']] }, { a: 'x', b: 'y' })).toEqual(
      [],
    )
    expect(summary({ groups: [['a']] }, { groups: [['x']] })).toEqual([
      { kind: 'added', before: [], after: ['x'] },
      { kind: 'removed', before: ['a'], after: [] },
    ])
  })

  it('is not fooled by a new device under the old name of a moved one', () => {
    expect(
      summary({ groups: [['a'], ['b']] }, { groups: [['b'], ['c']] }, { a: 'b', b: 'c' }),
    ).toEqual([])
  })

  it('shows a function that gets or loses its group', () => {
    expect(summary({ alone: ['a'] }, { groups: [['a']] })).toEqual([
      { kind: 'regrouped', before: ['a'], after: ['a'] },
    ])
  })

  it('names what became of strength and viability of a group that stayed', () => {
    const weak = { ...STRONG, msi: no('not remapped') }
    const taken: Viability = { ...FREE, verdict: 'not-viable', owner: 'kernel' }
    const [found] = assessmentDifference(
      side({ groups: [['a']] }),
      side({ groups: [['a']], strength: weak, viability: taken }),
      new Map(),
    )
    expect(found).toMatchObject({
      kind: 'changed',
      strength: [{ bit: 'msi', before: 'yes', after: 'no', evidence: 'not remapped' }],
      viability: { before: 'viable (none)', after: 'not-viable (kernel)' },
    })
  })
})
