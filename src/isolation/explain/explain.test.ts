import { describe, expect, it } from 'vitest'
import { parseKernelVersion } from '../../base/kernel-version.ts'
import { predictGroups } from '../groups/predict.ts'
import { rulesFor } from '../groups/rules.ts'
import { type DescribedHost, describeSnapshot } from '../snapshot.case.ts'
import { buildTopology } from '../topology/topology.ts'
import { type Explained, explainDevice, explainPair } from './explain.ts'

const ROOT_PORT = 4
const UPSTREAM = 5
const DOWNSTREAM = 6
const PCIE_TO_PCI = 7

function on(host: DescribedHost, kernel: string | null = null): Explained {
  const snapshot = describeSnapshot(host)
  const topology = buildTopology(snapshot)
  const rules = rulesFor(snapshot, kernel === null ? null : parseKernelVersion(kernel))
  return { snapshot, topology, rules, prediction: predictGroups(topology, snapshot, rules) }
}

/** A port without ACS, one with and one with nothing behind it; two cards. */
const BOARD: DescribedHost = {
  functions: [
    { at: '0000:00:01.0', type: ROOT_PORT, ids: '8086:1901', group: '1' },
    { at: '0000:00:02.0', type: ROOT_PORT, acs: [0x1f, 0x1d], group: '2' },
    { at: '0000:00:03.0', type: ROOT_PORT, acs: [0x1f, 0x1d], group: '3' },
    { at: '0000:01:00.0', parent: '0000:00:01.0', multifunction: true, group: '1' },
    { at: '0000:01:00.1', parent: '0000:00:01.0', multifunction: true, group: '1' },
    { at: '0000:02:00.0', parent: '0000:00:02.0', group: '4' },
  ],
}

function codes(remedies: readonly { readonly code: string }[]): readonly string[] {
  return remedies.map(({ code }) => code)
}

describe('a pair', () => {
  it('that is together is linked by a chain of joins from the first to the second', () => {
    const { together, chain, groupId, apart } = explainPair(
      on(BOARD),
      '0000:01:00.0',
      '0000:01:00.1',
    )
    expect(together).toBe(true)
    expect(groupId).toBe('1')
    expect(apart).toEqual([])
    const [first] = chain
    expect([first?.device, first?.joins]).toContain('0000:01:00.0')
    let at = '0000:01:00.0'
    for (const join of chain) {
      expect([join.device, join.joins]).toContain(at)
      at = join.device === at ? join.joins : join.device
    }
    expect(at).toBe('0000:01:00.1')
  })

  it('that is apart is told what isolates each of them', () => {
    const { together, chain, apart, remedies, groupId } = explainPair(
      on(BOARD),
      '0000:01:00.0',
      '0000:02:00.0',
    )
    expect(together).toBe(false)
    expect(groupId).toBeNull()
    expect(chain).toEqual([])
    expect(remedies).toEqual([])
    expect(apart.map(({ device, by }) => ({ device, by }))).toEqual([
      { device: '0000:01:00.0', by: '0000:00:01.0' },
      { device: '0000:02:00.0', by: '0000:00:02.0' },
    ])
    expect(apart[0]?.reason).toContain('sits on root bus 0000:00')
    expect(apart[1]?.evidence[0]).toContain('ACS capability 001f control 001d')
  })

  it('of one slot that is apart names the functions themselves', () => {
    const host: DescribedHost = {
      functions: [
        { at: '0000:00:02.0', multifunction: true, acs: [0x1f, 0x1d] },
        { at: '0000:00:02.1', multifunction: true, acs: [0x1f, 0x1d] },
      ],
    }
    const { apart } = explainPair(on(host), '0000:00:02.0', '0000:00:02.1')
    expect(apart.map(({ by }) => by)).toEqual(['0000:00:02.0', '0000:00:02.1'])
    expect(apart[0]?.reason).toContain('shares a slot with 0000:00:02.1, but isolates with ACS')
  })

  it('of one slot of which only one isolates names that one for both', () => {
    const host: DescribedHost = {
      functions: [
        { at: '0000:00:02.0', multifunction: true },
        { at: '0000:00:02.1', multifunction: true, acs: [0x1f, 0x1d] },
      ],
    }
    const { apart } = explainPair(on(host), '0000:00:02.0', '0000:00:02.1')
    expect(apart.map(({ by }) => by)).toEqual(['0000:00:02.1', '0000:00:02.1'])
  })

  it('behind VMD is explained through the VMD endpoint', () => {
    const host: DescribedHost = {
      functions: [
        { at: '0000:00:0e.0' },
        { at: '10000:e0:06.0', type: ROOT_PORT },
        { at: '10000:e1:00.0', parent: '10000:e0:06.0' },
        { at: '0000:00:02.0' },
      ],
      hostedBuses: [{ bus: '10000:e0', host: '0000:00:0e.0' }],
    }
    const joined = explainPair(on(host), '10000:e1:00.0', '10000:e0:06.0')
    expect(joined.chain.map(({ code }) => code)).toEqual(['dma-host', 'dma-host'])
    expect(codes(joined.remedies)).toEqual(['vmd-off'])
    const apart = explainPair(on(host), '10000:e1:00.0', '0000:00:02.0')
    expect(apart.apart[0]?.by).toBe('0000:00:0e.0')
  })

  it('on which the kernel disagrees says so', () => {
    const functions = BOARD.functions.map((fn) =>
      fn.at === '0000:02:00.0' ? { ...fn, group: '1' } : fn,
    )
    const { actual } = explainPair(on({ functions }), '0000:01:00.0', '0000:02:00.0')
    expect(actual.agrees).toBe(false)
    expect(actual.note).toBe(
      'the kernel has both in group 1, against the prediction; `isogroup predict` lists what differs and what is unknown',
    )
  })
})

describe('a device', () => {
  it('that shares its group lists every join, nearest first', () => {
    const { together, members, chain, actual } = explainDevice(on(BOARD), '0000:00:01.0')
    expect(together).toBe(true)
    expect(members).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:01:00.1'])
    expect(chain).toHaveLength(2)
    expect(chain[0]?.joins).toBe('0000:00:01.0')
    expect(actual).toEqual({
      ids: ['1'],
      agrees: true,
      note: "the kernel's group 1 holds exactly these devices",
    })
  })

  it('that is alone is told what keeps it so, and needs no remedy', () => {
    const { together, apart, remedies } = explainDevice(on(BOARD), '0000:02:00.0')
    expect(together).toBe(false)
    expect(apart.map(({ by }) => by)).toEqual(['0000:00:02.0'])
    expect(remedies).toEqual([])
  })

  it('of a host without groups is explained from the topology, and the note says so', () => {
    const functions = BOARD.functions.map((fn) => ({ ...fn, group: null }))
    const { actual, together } = explainDevice(on({ functions }), '0000:01:00.0')
    expect(together).toBe(true)
    expect(actual.agrees).toBeNull()
    expect(actual.note).toContain('the kernel made no groups')
  })

  it('that the kernel gave no group says so', () => {
    const functions = BOARD.functions.map((fn) =>
      fn.at === '0000:02:00.0' ? { ...fn, group: null } : fn,
    )
    const { actual } = explainDevice(on({ functions }), '0000:02:00.0')
    expect(actual).toEqual({
      ids: [null],
      agrees: null,
      note: 'the kernel gave 0000:02:00.0 no group',
    })
  })

  it('under the ACS override patch is told that the groups are not true', () => {
    const host = { ...BOARD, commandLine: 'quiet pcie_acs_override=downstream,multifunction' }
    const functions = BOARD.functions.map((fn, index) => ({ ...fn, group: String(index) }))
    const { warnings, remedies, actual } = explainDevice(on({ ...host, functions }), '0000:01:00.0')
    expect(codes(warnings)).toContain('GRP-OVERRIDE')
    expect(remedies.at(-1)?.text).toContain('is in use')
    expect(actual.agrees).toBe(false)
    expect(actual.note).toContain('claim isolation that is not there')
  })

  it('gets warnings about its switch, but not about another part of the machine', () => {
    const switchAt = (root: string, up: string, down: string): DescribedHost['functions'] => [
      { at: `0000:00:${root}.0`, type: ROOT_PORT, acs: [0x1f, 0x1d] },
      { at: `0000:${up}:00.0`, parent: `0000:00:${root}.0`, type: UPSTREAM },
      { at: `0000:${down}:00.0`, parent: `0000:${up}:00.0`, type: DOWNSTREAM },
      { at: `0000:${down}:01.0`, parent: `0000:${up}:00.0`, type: DOWNSTREAM },
    ]
    const functions = [...switchAt('01', '01', '02'), ...switchAt('02', '05', '06')]
    const { warnings } = explainDevice(on({ functions }), '0000:02:00.0')
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.about).toContain('0000:02:00.0')
  })
})

describe('remedies', () => {
  it('for a port without ACS name free and taken ports, firmware, quirk, and not the override', () => {
    const { remedies } = explainPair(on(BOARD), '0000:01:00.0', '0000:00:01.0')
    expect(codes(remedies)).toEqual(['move-card', 'firmware-acs', 'missing-quirk', 'not-override'])
    const [move] = remedies
    expect(move?.about).toEqual(['0000:00:03.0', '0000:00:02.0'])
    expect(move?.text).toContain('0000:00:03.0 (free), 0000:00:02.0 (holds 0000:02:00.0)')
    expect(remedies.at(-1)?.text).toContain('is not safe')
  })

  it('never offer a port behind VMD, where everything is one group', () => {
    const functions: DescribedHost['functions'] = [
      ...BOARD.functions,
      { at: '0000:00:0e.0' },
      { at: '10000:e0:06.0', type: ROOT_PORT, acs: [0x1f, 0x1d] },
    ]
    const hostedBuses = [{ bus: '10000:e0', host: '0000:00:0e.0' }]
    const host = on({ functions, hostedBuses })
    const [move] = explainPair(host, '0000:01:00.0', '0000:00:01.0').remedies
    expect(move?.about).toEqual(['0000:00:03.0', '0000:00:02.0'])
  })

  it('for a machine without a clean port say that moving does not help', () => {
    const functions = BOARD.functions.filter(({ at }) => !/00:0[23]|02:00/.test(at))
    const { remedies } = explainPair(on({ functions }), '0000:01:00.0', '0000:00:01.0')
    expect(remedies[0]?.text).toContain('another slot does not help')
    expect(remedies[0]?.about).toEqual([])
  })

  const SWITCHED_OFF: DescribedHost = {
    functions: [
      { at: '0000:00:02.0', type: ROOT_PORT, acs: [0x1f, 0x01], group: '0' },
      { at: '0000:02:00.0', parent: '0000:00:02.0', group: '0' },
    ],
  }

  it('for ACS bits that are off give the exact kernel argument, on kernels that have it', () => {
    const { remedies } = explainPair(on(SWITCHED_OFF, '6.12'), '0000:02:00.0', '0000:00:02.0')
    const argument = 'pci=config_acs=xx111x1@0000:00:02.0'
    expect(remedies.find(({ code }) => code === 'config-acs')?.argument).toBe(argument)
  })

  it('for ACS bits that are off leave out those that the hardware lacks', () => {
    const functions = SWITCHED_OFF.functions.map((fn) =>
      fn.at === '0000:00:02.0' ? { ...fn, acs: [0x0d, 0x01] as const } : fn,
    )
    const { remedies } = explainPair(on({ functions }, '6.12'), '0000:02:00.0', '0000:00:02.0')
    const found = remedies.find(({ code }) => code === 'config-acs')
    expect(found?.argument).toBe('pci=config_acs=xxx11x1@0000:00:02.0')
  })

  it('for ACS bits that are off do not offer the argument to kernel 6.1', () => {
    const { remedies } = explainPair(on(SWITCHED_OFF, '6.1'), '0000:02:00.0', '0000:00:02.0')
    expect(codes(remedies)).toContain('newer-kernel')
    expect(codes(remedies)).not.toContain('config-acs')
    expect(remedies.find(({ code }) => code === 'newer-kernel')?.text).toContain('6.1 has no such')
  })

  it('for ACS bits that an argument switched off ask to drop that argument', () => {
    const host = { ...SWITCHED_OFF, commandLine: 'pci=disable_acs_redir=0000:00:02.0' }
    const { remedies } = explainPair(on(host, '6.1'), '0000:02:00.0', '0000:00:02.0')
    expect(remedies.find(({ code }) => code === 'drop-argument')?.argument).toBe(
      'pci=disable_acs_redir=0000:00:02.0',
    )
  })

  it('for eight functions of one chip are one piece of advice', () => {
    const functions = Array.from({ length: 8 }, (_, index) => ({
      at: `0000:00:02.${String(index)}`,
      multifunction: true,
    }))
    const { remedies } = explainDevice(on({ functions }), '0000:00:02.0')
    expect(codes(remedies)).toEqual(['one-chip', 'not-override'])
    expect(remedies[0]?.about).toHaveLength(8)
  })

  it('for what is behind a conventional bridge say that nothing separates it', () => {
    const functions: DescribedHost['functions'] = [
      { at: '0000:00:02.0', type: ROOT_PORT, acs: [0x1f, 0x1d] },
      { at: '0000:02:00.0', parent: '0000:00:02.0', type: PCIE_TO_PCI },
      { at: '0000:03:00.0', parent: '0000:02:00.0', type: null },
      { at: '0000:03:01.0', parent: '0000:02:00.0', type: null },
    ]
    const { remedies } = explainPair(on({ functions }), '0000:03:00.0', '0000:03:01.0')
    expect(codes(remedies)).toEqual(['move-card', 'bridge-hides'])
    expect(remedies[1]?.text).toContain('hides who is asking')
  })

  it('for facts that could not be read ask to read more', () => {
    const functions: DescribedHost['functions'] = [
      { at: '0000:00:02.0', type: ROOT_PORT, acs: 'unknown' },
      { at: '0000:02:00.0', parent: '0000:00:02.0' },
    ]
    const { remedies } = explainPair(on({ functions }), '0000:02:00.0', '0000:00:02.0')
    expect(remedies.find(({ code }) => code === 'read-more')?.about).toEqual(['0000:00:02.0'])
  })
})
