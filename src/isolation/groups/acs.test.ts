import { describe, expect, it } from 'vitest'
import { type DescribedFunction, describeSnapshot } from '../snapshot.case.ts'
import { buildTopology } from '../topology/topology.ts'
import { type AcsVerdict, acsIsolates, acsTable } from './acs.ts'
import { rulesFor } from './rules.ts'

function verdictOf(fn: Partial<DescribedFunction>, kernel = '6.12'): AcsVerdict {
  const at = '0000:00:1c.0'
  const snapshot = describeSnapshot({ kernel, functions: [{ at, ...fn }] })
  const node = buildTopology(snapshot).nodes.get(fn.at ?? at)
  if (node === undefined) throw new Error('the described function is missing')
  return acsIsolates(node, rulesFor(snapshot, null))
}

const MF = { multifunction: true, type: 0 } as const

describe('acsIsolates() by the quirk table', () => {
  // One function of every row, each of which fails without its quirk.
  const granted: readonly (readonly [string, Partial<DescribedFunction>])[] = [
    ['1002:439c', { type: null, multifunction: true }],
    ['1022:7809', { type: null, multifunction: true }],
    ['1924:0923', MF],
    ['8086:10c6', MF],
    ['8086:10fa', MF],
    ['8086:1558', MF],
    ['8086:1516', MF],
    ['8086:10e7', MF],
    ['8086:10d6', MF],
    ['8086:1524', MF],
    ['8086:105f', MF],
    ['8086:15b8', MF],
    ['8086:a0ed', { type: 9, multifunction: true }],
    ['17cb:0115', { type: 4 }],
    ['1dbf:0401', { type: 4 }],
    ['8086:3b51', { type: 4 }],
    ['8086:1d1e', { type: 4 }],
    ['8086:8c92', { type: 4 }],
    ['8086:9c9b', { type: 4 }],
    ['19a2:0710', MF],
    ['10df:0720', MF],
    ['177d:a7ff', { type: 4 }],
    ['177d:a059', MF],
    ['10e8:e004', { type: 4 }],
    ['1def:e00c', { type: 4 }],
    ['14e4:1762', MF],
    ['14e4:d714', { type: 4 }],
    ['0014:7a69', { type: 4 }],
    ['1c36:0031', { type: 4 }],
    ['1d17:9083', MF],
    ['1957:8db9', { type: 4 }],
    ['1d17:0752', { type: 6 }],
    ['8088:010f', MF],
  ]
  it.each(granted)('%s isolates', (ids, fn) => {
    expect(verdictOf({ ...fn, ids })).toMatchObject({ verdict: 'yes', source: 'quirk' })
  })

  const notGranted: readonly (readonly [string, Partial<DescribedFunction>])[] = [
    ['8086:10e9', MF],
    ['8086:1d11', { type: 4 }],
    ['8086:3b52', { type: 4 }],
    ['8086:1c10', { type: 6 }],
    ['177d:a800', { type: 4 }],
    ['1002:439c', { type: null, multifunction: false }],
    ['1022:7809', { type: null, multifunction: true, at: '0000:00:1c.0', parent: '0000:00:01.0' }],
  ]
  it.each(notGranted)('%s outside its condition does not', (ids, fn) => {
    const snapshot = describeSnapshot({
      kernel: '6.12',
      functions: [
        { at: '0000:00:01.0', type: 4 },
        { at: '0000:00:1c.0', ...fn, ids },
      ],
    })
    const node = buildTopology(snapshot).nodes.get('0000:00:1c.0')
    expect(node && acsIsolates(node, rulesFor(snapshot, null)).verdict).toBe('no')
  })

  it('can say no in spite of a real capability', () => {
    const acs = [0x1f, 0x1d] as const
    expect(verdictOf({ type: 4, ids: '1d17:0722', acs })).toMatchObject({ verdict: 'no' })
    expect(verdictOf({ ...MF, ids: '8088:9999', acs })).toMatchObject({ verdict: 'no' })
  })

  it('Sunrise Point ports are judged by their own register layout', () => {
    const port = { type: 4, ids: '8086:a110', group: '1' }
    expect(verdictOf({ ...port, acs: [0x1f, 0], wideAcs: [0x1f, 0x1d] }).verdict).toBe('yes')
    expect(verdictOf({ ...port, acs: [0x1f, 0x1d], wideAcs: [0x1f, 0x0d] }).verdict).toBe('no')
    expect(verdictOf({ ...port, acs: null }).verdict).toBe('no')
  })
})

describe('acsIsolates() by port type', () => {
  const ON = [0x5f, 0x1d] as const
  it.each([
    [0, false, null, 'yes'],
    [0, true, null, 'no'],
    [0, true, ON, 'yes'],
    [1, true, null, 'no'],
    [4, false, null, 'no'],
    [4, false, ON, 'yes'],
    [5, false, null, 'yes'],
    [5, true, null, 'no'],
    [6, false, null, 'no'],
    [7, false, ON, 'no'],
    [8, false, ON, 'no'],
    [9, false, null, 'yes'],
    [9, true, null, 'no'],
    [10, false, ON, 'no'],
    [12, true, null, 'yes'],
    [null, false, ON, 'no'],
  ] as const)('type %s multifunction %s ACS %s: %s', (type, multifunction, acs, verdict) => {
    expect(verdictOf({ type, multifunction, acs }).verdict).toBe(verdict)
  })

  it('each required bit counts, each only when implemented', () => {
    for (const bit of [0x01, 0x04, 0x08, 0x10]) {
      const off = { type: 4, group: '0', acs: [0x5f, 0x1d & ~bit] } as const
      expect(verdictOf(off).verdict).toBe('no')
      expect(verdictOf({ ...off, acs: [0x5f & ~bit, 0x1d & ~bit] }).verdict).toBe('yes')
    }
    for (const bit of [0x02, 0x20, 0x40]) {
      expect(verdictOf({ type: 4, group: '0', acs: [0x7f, 0x7f & ~bit] }).verdict).toBe('yes')
    }
  })

  it('a switch port in an impossible place is judged as an endpoint, the one below it as what it is', () => {
    const port = { at: '0000:00:01.0', type: 4, acs: ON } as const
    const verdicts = (types: readonly number[]): string[] => {
      const below = types.map((type, i) => ({
        at: `0000:0${String(i + 1)}:00.0`,
        parent: i === 0 ? port.at : `0000:0${String(i)}:00.0`,
        type,
      }))
      const snapshot = describeSnapshot({ functions: [port, ...below] })
      const rules = rulesFor(snapshot, null)
      const nodes = [...buildTopology(snapshot).nodes.values()].slice(1)
      return nodes.map((node) => acsIsolates(node, rules).verdict)
    }
    expect(verdicts([5, 6])).toEqual(['yes', 'no'])
    expect(verdicts([6, 6, 6])).toEqual(['yes', 'no', 'yes'])
    // The machine of the lab: upstream below upstream, then downstream.
    expect(verdicts([5, 5, 6])).toEqual(['yes', 'yes', 'no'])
  })

  it('a virtual function isolates whatever its config space says', () => {
    expect(verdictOf({ type: 'unknown', physicalFunction: '0000:00:1b.0' }).verdict).toBe('yes')
  })
})

describe('acsTable()', () => {
  it('names the failing element nearest to the device, certain failures first', () => {
    const snapshot = describeSnapshot({
      functions: [
        { at: '0000:00:01.0', type: 4 },
        { at: '0000:01:00.0', parent: '0000:00:01.0', type: 5 },
        { at: '0000:02:00.0', parent: '0000:01:00.0', type: 6, acs: 'unknown' },
        { at: '0000:03:00.0', parent: '0000:02:00.0' },
      ],
    })
    const { nodes } = buildTopology(snapshot)
    const port = nodes.get('0000:02:00.0')
    if (port === undefined) throw new Error('missing')
    const table = acsTable(rulesFor(snapshot, null))
    expect(table.failing(port)?.node.address).toBe('0000:00:01.0')
  })
})

describe('acsIsolates() without a device id', () => {
  function unnamed(classCode: number, type: number | null): string {
    const at = '0000:00:1f.3'
    const snapshot = describeSnapshot({
      functions: [{ at, type, classCode, multifunction: true, ids: '8086:0000' }],
    })
    const functions = snapshot.functions.map((fn) => ({
      ...fn,
      device: { known: false as const, why: 'not printed' },
    }))
    const node = buildTopology({ ...snapshot, functions }).nodes.get(at)
    return node === undefined ? '' : acsIsolates(node, rulesFor(snapshot, null)).verdict
  }

  it('is undecided where the quirk table could name the function, else decided', () => {
    expect(unnamed(0x040300, null)).toBe('no')
    expect(unnamed(0x020000, 0)).toBe('unknown')
    expect(unnamed(0x060400, 4)).toBe('unknown')
  })
})
