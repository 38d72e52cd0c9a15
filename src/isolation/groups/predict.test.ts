import { describe, expect, it } from 'vitest'
import { formatAddress } from '../../pci/address.ts'
import { type DescribedFunction, type DescribedHost, describeSnapshot } from '../snapshot.case.ts'
import { buildTopology } from '../topology/topology.ts'
import { comparePrediction } from './compare.ts'
import { predictGroups } from './predict.ts'
import type { Prediction } from './prediction.ts'
import { rulesFor } from './rules.ts'

const ACS_ON = [0x5f, 0x1d] as const
const ROOT = 4
const UP = 5
const DOWN = 6

function predict(host: DescribedHost): Prediction {
  const snapshot = describeSnapshot(host)
  return predictGroups(buildTopology(snapshot), snapshot, rulesFor(snapshot, null))
}

function groupsOf(functions: readonly DescribedFunction[]): string[] {
  return predict({ functions }).groups.map((group) => group.devices.join(' '))
}

const PORT = { at: '0000:00:01.0', type: ROOT, acs: ACS_ON, classCode: 0x060400 }
const OPEN_PORT = { ...PORT, acs: null }

describe('predictGroups() joins what is below an element without ACS', () => {
  it('a card below a root port with ACS is alone', () => {
    expect(groupsOf([PORT, { at: '0000:01:00.0', parent: PORT.at }])).toEqual([
      '0000:00:01.0',
      '0000:01:00.0',
    ])
  })

  it('a card below a root port without ACS shares the port, and the join says why', () => {
    const { groups } = predict({ functions: [OPEN_PORT, { at: '0000:01:00.0', parent: PORT.at }] })
    expect(groups).toHaveLength(1)
    expect(groups[0]?.because).toEqual([
      expect.objectContaining({
        code: 'no-acs-above',
        device: '0000:01:00.0',
        joins: '0000:00:01.0',
        decider: '0000:00:01.0',
        evidence: ['0000:00:01.0: PCI Express type 4 (root port), no ACS capability'].flatMap(
          (line) => [line.split(', ')[0] ?? '', '0000:00:01.0: no ACS capability'],
        ),
        certainty: 'certain',
      }),
    ])
  })

  it('one failing element anywhere above drags everything below it together', () => {
    const functions = [
      OPEN_PORT,
      { at: '0000:01:00.0', parent: PORT.at, type: UP },
      { at: '0000:02:00.0', parent: '0000:01:00.0', type: DOWN, acs: ACS_ON },
      { at: '0000:03:00.0', parent: '0000:02:00.0' },
    ]
    expect(groupsOf(functions)).toHaveLength(1)
  })

  it('a required bit that is off in a read control register joins; an unimplemented one does not', () => {
    const card = { at: '0000:01:00.0', parent: PORT.at, group: '1' }
    expect(groupsOf([{ ...PORT, acs: [0x5f, 0x19], group: '0' }, card])).toHaveLength(1)
    expect(groupsOf([{ ...PORT, acs: [0x1b, 0x19], group: '0' }, card])).toHaveLength(2)
  })

  it('bits that the kernel would turn on are taken as on while the IOMMU is off', () => {
    expect(
      groupsOf([
        { ...PORT, acs: [0x5f, 0x00] },
        { at: '0000:01:00.0', parent: PORT.at },
      ]),
    ).toHaveLength(2)
  })

  it('config_acs= counts from 6.11 on, disable_acs_redir= always', () => {
    const functions = [
      { ...PORT, acs: [0x5f, 0x00] as const },
      { at: '0000:01:00.0', parent: PORT.at },
    ]
    const count = (kernel: string, commandLine: string): number =>
      predict({ functions, kernel, commandLine }).groups.length
    expect(count('6.12', 'quiet pci=config_acs=xxxxx0x@0000:00:01.0 splash')).toBe(2)
    expect(count('6.12', 'quiet pci=config_acs=xxxx0xx@0000:00:01.0 splash')).toBe(1)
    expect(count('6.1', 'quiet pci=config_acs=xxxx0xx@0000:00:01.0 splash')).toBe(2)
    expect(count('6.1', 'pci=noaer,disable_acs_redir=01:00.0;0:2.0')).toBe(2)
    expect(count('6.1', 'pci=noaer,disable_acs_redir=01:00.0;00:01.0')).toBe(1)
    expect(count('6.1', 'pci=disable_acs_redir=pci:1234:0001')).toBe(1)
  })
})

describe('predictGroups() joins functions of one slot', () => {
  const card = (fn: number, more: Partial<DescribedFunction> = {}): DescribedFunction => ({
    at: `0000:01:00.${String(fn)}`,
    parent: PORT.at,
    multifunction: true,
    ...more,
  })

  it('when neither isolates peer traffic', () => {
    expect(groupsOf([PORT, card(0), card(1)])).toEqual([
      '0000:00:01.0',
      '0000:01:00.0 0000:01:00.1',
    ])
  })

  it('but not one that has ACS', () => {
    expect(groupsOf([PORT, card(0), card(1, { acs: ACS_ON }), card(2)])).toEqual([
      '0000:00:01.0',
      '0000:01:00.0 0000:01:00.2',
      '0000:01:00.1',
    ])
  })

  it('though a function above 0 has its own header bit clear, and warns about hot add', () => {
    const prediction = predict({ functions: [PORT, card(0), card(1, { multifunction: false })] })
    expect(prediction.groups).toHaveLength(2)
    expect(prediction.warnings.map((warning) => warning.code)).toEqual(['GRP-HOTPLUG-SPLIT'])
  })

  it('never virtual functions', () => {
    const functions = [
      PORT,
      card(0, { multifunction: false }),
      card(1, { physicalFunction: '0000:01:00.0', multifunction: false }),
      card(2, { physicalFunction: '0000:01:00.0', multifunction: false }),
    ]
    expect(groupsOf(functions)).toHaveLength(4)
  })

  it('not virtual functions of a vendor whose devices never isolate: they come after their PF', () => {
    const wangxun = { ids: '8088:9999', acs: ACS_ON }
    const functions = [
      PORT,
      card(0, wangxun),
      card(1, { ...wangxun, multifunction: false, physicalFunction: '0000:01:00.0' }),
    ]
    expect(groupsOf(functions)).toHaveLength(3)
  })

  it('unless the kernel is too old to know the quirk; long-term series know the later ones', () => {
    const endpoint = { at: '0000:00:14.0', type: 9, ids: '8086:a0ed', multifunction: true }
    const functions = [endpoint, { ...endpoint, at: '0000:00:14.2' }]
    const count = (kernel: string): number => predict({ functions, kernel }).groups.length
    expect([count('5.6.19'), count('5.8'), count('5.4.0-47'), count('6.12')]).toEqual([1, 2, 2, 2])
  })

  it('unless the vendor says that its functions do not talk: the quirk table', () => {
    const intel = { ids: '8086:1521' }
    expect(groupsOf([PORT, card(0, intel), card(1, intel)])).toHaveLength(3)
  })
})

describe('predictGroups() follows requester ids', () => {
  it('everything behind a PCIe-to-PCI bridge is one group with the bridge', () => {
    const functions = [
      PORT,
      { at: '0000:01:00.0', parent: PORT.at, type: 7, classCode: 0x060400 },
      { at: '0000:02:01.0', parent: '0000:01:00.0', type: null },
      { at: '0000:02:02.0', parent: '0000:01:00.0', type: null },
    ]
    const [port, bridge] = predict({ functions }).groups
    expect(port?.devices).toEqual(['0000:00:01.0'])
    expect(bridge?.devices).toHaveLength(3)
    expect(bridge?.because.map((join) => join.code)).toEqual(['bridge-alias', 'bridge-alias'])
  })

  it('a Marvell controller takes function 1 of its slot along', () => {
    const marvell = { parent: PORT.at, type: 0, multifunction: false, acs: ACS_ON }
    const functions = [
      PORT,
      { at: '0000:01:00.0', ids: '1b4b:9230', ...marvell },
      { at: '0000:01:00.1', ids: '1b4b:91a3', ...marvell },
    ]
    const { groups } = predict({ functions })
    expect(groups.map((group) => group.devices.length)).toEqual([1, 2])
    expect(groups[1]?.because[0]?.code).toBe('quirk-alias')
  })

  it('behind a bridge that ends the walk, the bridge id stands for nobody', () => {
    const codes = (ids: string): string[] => {
      const functions = [
        { at: '0000:00:01.0', type: null, ids, classCode: 0x060400 },
        { at: '0000:01:00.0', parent: '0000:00:01.0' },
      ]
      return predict({ functions }).groups.flatMap((group) =>
        group.because.map((join) => join.code),
      )
    }
    expect(codes('8086:244e')).toEqual(['bridge-alias'])
    expect(codes('14e4:9084')).toEqual(['no-acs-above'])
  })

  it('a PLX bridge with all aliases takes its whole bus along', () => {
    const functions = [
      PORT,
      { at: '0000:01:00.0', parent: PORT.at, ids: '10b5:87b0' },
      { at: '0000:01:04.0', parent: PORT.at },
      { at: '0000:01:05.0', parent: PORT.at },
    ]
    expect(groupsOf(functions)).toHaveLength(2)
  })

  it('devices of a VMD domain are in the group of the VMD endpoint', () => {
    const snapshot = describeSnapshot({
      functions: [
        { at: '0000:00:0e.0', type: 9, ids: '8086:467f', classCode: 0x010400 },
        { at: '10000:e0:06.0', type: ROOT, acs: ACS_ON },
        { at: '10000:e1:00.0', parent: '10000:e0:06.0' },
      ],
      hostedBuses: [{ bus: '10000:e0', host: '0000:00:0e.0' }],
    })
    const prediction = predictGroups(buildTopology(snapshot), snapshot, rulesFor(snapshot, null))
    expect(prediction.groups).toHaveLength(1)
    expect(prediction.groups[0]?.because.map((join) => join.code)).toEqual(['dma-host', 'dma-host'])
  })

  it('an IOMMU function is in no group', () => {
    const prediction = predict({
      functions: [
        { at: '0000:00:00.0', type: null, classCode: 0x060000, multifunction: true },
        { at: '0000:00:00.2', type: null, classCode: 0x080600, multifunction: true },
      ],
    })
    expect(prediction.groups).toEqual([{ devices: ['0000:00:00.0'], because: [] }])
    expect(prediction.ungrouped.map((entry) => entry.device)).toEqual(['0000:00:00.2'])
  })
})

describe('predictGroups() says what it does not know', () => {
  it('takes an unread capability as not isolating and names what hangs on it', () => {
    const functions = [
      { ...PORT, type: 'unknown', acs: 'unknown' } as const,
      { at: '0000:01:00.0', parent: PORT.at },
    ]
    const prediction = predict({ functions })
    expect(prediction.groups).toHaveLength(1)
    expect(prediction.groups[0]?.because[0]?.certainty).toBe('possible')
    expect(prediction.unknown).toEqual([
      {
        device: '0000:00:01.0',
        fact: 'PCI Express capability',
        why: 'config space: only 64 bytes readable',
        effect: 'if it isolates, this keeps apart 0000:01:00.0 from 0000:00:01.0',
      },
    ])
  })

  it('a present capability with unread bits is taken as enabled', () => {
    const functions = [
      { ...PORT, acs: 'unread-bits' } as const,
      { at: '0000:01:00.0', parent: PORT.at },
    ]
    expect(groupsOf(functions)).toHaveLength(2)
  })

  it('a port of unknown make without ACS could still be in the quirk table', () => {
    const functions = [
      { ...OPEN_PORT, ids: null },
      { at: '0000:01:00.0', parent: PORT.at },
    ]
    expect(predict({ functions }).unknown[0]?.fact).toBe('vendor and device id')
  })
})

describe('comparePrediction()', () => {
  function compare(host: DescribedHost): ReturnType<typeof comparePrediction> {
    const snapshot = describeSnapshot(host)
    const topology = buildTopology(snapshot)
    const rules = rulesFor(snapshot, null)
    return comparePrediction(predictGroups(topology, snapshot, rules), snapshot, rules)
  }

  it('finds nothing where they agree', () => {
    expect(
      compare({
        functions: [
          { ...PORT, group: '7' },
          { at: '0000:01:00.0', parent: PORT.at, group: '3' },
        ],
      }),
    ).toEqual([])
  })

  it('names devices that the kernel keeps apart, and the override patch as the cause', () => {
    const [difference] = compare({
      commandLine: 'pcie_acs_override=downstream,multifunction',
      functions: [
        { ...OPEN_PORT, group: '0' },
        { at: '0000:01:00.0', parent: PORT.at, group: '1' },
      ],
    })
    expect(difference).toMatchObject({ kind: 'split', groups: ['0', '1'], undecided: false })
    expect(difference?.explanation).toContain('override')
  })

  it('marks a split as undecided when it rests on an unknown fact', () => {
    const [difference] = compare({
      functions: [
        { ...PORT, acs: 'unknown', group: '0' },
        { at: '0000:01:00.0', parent: PORT.at, group: '1' },
      ],
    })
    expect(difference).toMatchObject({ kind: 'split', undecided: true })
  })

  it('names devices that the kernel put together or left out', () => {
    const differences = compare({
      functions: [
        { ...PORT, group: '0' },
        { at: '0000:01:00.0', parent: PORT.at, group: '0' },
        { at: '0000:02:00.0', group: null },
      ],
    })
    expect(differences.map((difference) => difference.kind)).toEqual(['ungrouped', 'joined'])
  })
})

describe('buildTopology()', () => {
  it('survives bridges above themselves and missing bridges, and says so', () => {
    const snapshot = describeSnapshot({
      functions: [
        { at: '0000:01:00.0', parent: '0000:02:00.0' },
        { at: '0000:02:00.0', parent: '0000:01:00.0' },
        { at: '0000:03:00.0', parent: '0000:77:00.0' },
      ],
    })
    const { damage } = buildTopology(snapshot)
    expect(damage.join('\n')).toMatch(/0000:77:00.0 is not among the devices/)
    expect(damage.join('\n')).toMatch(/loop/)
  })

  it('cuts a chain deeper than a domain has buses', () => {
    const functions = Array.from({ length: 2000 }, (_, i) => ({ at: chained(i), type: DOWN })).map(
      (fn, i) => ({ ...fn, parent: i === 0 ? null : chained(i - 1) }),
    )
    const { damage } = buildTopology(describeSnapshot({ functions }))
    expect(damage[0]).toBe('0001:01:00.0: more than 256 bridges above it')
    expect(predict({ functions }).groups.length).toBeGreaterThan(1)
  })
})

/** The i-th of a chain of functions, one on each bus. */
function chained(i: number): string {
  return formatAddress({ domain: i >> 8, bus: i & 255, device: 0, function: 0 })
}
