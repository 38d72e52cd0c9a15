import { describe, expect, it } from 'vitest'
import type { FunctionDescription, IommuDescription } from '../description.ts'
import { renamedWiring, rewired } from './wiring.ts'

function iommu(of: Partial<IommuDescription>): IommuDescription {
  const units: IommuDescription['units'] = []
  const kind = 'intel'
  return { kind, interruptRemapping: true, units, defaultDomain: 'DMA', reserved: [], ...of }
}

function unit(name: string, scope: readonly string[] | null): IommuDescription['units'][number] {
  return { name, attributes: {}, scope }
}

function scopes(of: IommuDescription): readonly (readonly string[] | null)[] {
  return of.units.map(({ scope }) => scope)
}

/** A port on either root bus; the card and its neighbour are below the second. */
const FUNCTIONS = [
  { at: '0000:00:01.0', parent: null },
  { at: '0000:00:02.0', parent: null },
  { at: '0000:80:00.0', parent: null },
  { at: '0000:81:00.0', parent: '0000:80:00.0' },
].map((place): FunctionDescription => ({ ...place, kind: 'generic', config: '', bars: [] }))

describe('rewired()', () => {
  it('gives a moved card the unit of the port that it is in now', () => {
    const units = [unit('dmar0', ['0000:80:00.0']), unit('dmar1', ['0000:00:01.0', '0000:81:00.0'])]
    const moved = rewired(iommu({ units }), ['0000:81:00.0'], FUNCTIONS)
    expect(scopes(moved)).toEqual([['0000:80:00.0'], ['0000:00:01.0']])
  })

  it('gives a newcomer on a root bus the unit that has most of the bus', () => {
    const units = [unit('ivhd0', ['0000:80:00.0']), unit('ivhd1', ['0000:00:01.0'])]
    const grown = rewired(iommu({ units }), ['0000:00:02.0'], FUNCTIONS)
    expect(scopes(grown)).toEqual([['0000:80:00.0'], ['0000:00:01.0', '0000:00:02.0']])
  })

  it('leaves newcomers to the unit that has all that is left over', () => {
    const units = [unit('dmar0', ['0000:00:01.0']), unit('dmar1', null)]
    const grown = rewired(iommu({ units }), ['0000:00:02.0'], FUNCTIONS)
    expect(scopes(grown)).toEqual([['0000:00:01.0'], null])
  })

  it('keeps the unit of a card where the new place has none', () => {
    const units = [unit('dmar0', ['0000:81:00.0'])]
    expect(scopes(rewired(iommu({ units }), ['0000:81:00.0'], FUNCTIONS))).toEqual([
      ['0000:81:00.0'],
    ])
  })

  it('gives what moved on POWER the endpoint of its bus, or a new one', () => {
    const partitions = [
      { pe: 0, functions: ['0000:00:01.0', '0000:81:00.0'] },
      { pe: 3, functions: ['0000:80:00.0'] },
    ]
    const moved = ['0000:00:02.0', '0000:81:00.0']
    expect(rewired(iommu({ kind: 'power', partitions }), moved, FUNCTIONS).partitions).toEqual([
      { pe: 0, functions: ['0000:00:01.0', '0000:00:02.0'] },
      { pe: 3, functions: ['0000:80:00.0'] },
      { pe: 4, functions: ['0000:81:00.0'] },
    ])
  })
})

describe('renamedWiring()', () => {
  it('follows functions to their names, and forgets those that are gone', () => {
    const region = { start: '0x0', end: '0xfff', kind: 'direct' } as const
    const wired = renamedWiring(
      iommu({
        units: [unit('dmar0', ['a', 'b']), unit('dmar1', null)],
        reserved: [
          { at: 'a', ...region },
          { at: 'b', ...region },
        ],
        partitions: [{ pe: 1, functions: ['b', 'a'] }],
      }),
      new Map([['a', 'x']]),
    )
    expect(scopes(wired)).toEqual([['x'], null])
    expect(wired.reserved).toEqual([{ at: 'x', ...region }])
    expect(wired.partitions).toEqual([{ pe: 1, functions: ['x'] }])
  })
})
