import { describe, expect, it } from 'vitest'
import { unknown } from '../../base/fact.ts'
import type { DescribedFunction } from '../snapshot.case.ts'
import { groupIn, type TestHost } from './assess.case.ts'
import type { Guarantee } from './guarantee.ts'

const ON = [0x5f, 0x1d] as const
const BRIDGE = 0x060400

function p2p(functions: readonly DescribedFunction[], id: string, more?: TestHost): Guarantee {
  return groupIn({ ...more, functions }, id).strength.p2p
}

const PORT: DescribedFunction = {
  at: '0000:00:01.0',
  type: 4,
  acs: ON,
  classCode: BRIDGE,
  group: '0',
}
const CARD: DescribedFunction = { at: '0000:01:00.0', parent: PORT.at, group: '1' }

describe('p2p on the way up', () => {
  it('is yes below a port with ACS, and names the port', () => {
    expect(p2p([PORT, CARD], '1')).toEqual({
      verdict: 'yes',
      evidence: 'every bridge on the way isolates: 0000:00:01.0',
    })
  })

  it('is no below a port without ACS when the port is in another group, as the override patch makes it', () => {
    const verdict = p2p([{ ...PORT, acs: null }, CARD], '1', {
      functions: [],
      commandLine: 'pcie_acs_override=downstream',
    })
    expect(verdict.verdict).toBe('no')
    expect(verdict.evidence).toContain('0000:00:01.0 has no ACS capability')
  })

  it('is no when the control register has a bit off, whatever the groups say', () => {
    expect(p2p([{ ...PORT, acs: [0x5f, 0x0d] }, CARD], '1').verdict).toBe('no')
  })

  it('is yes below a port without ACS when the group holds the port and all below it', () => {
    const functions = [
      { ...PORT, acs: null },
      { ...CARD, group: '0' },
    ]
    expect(p2p(functions, '0').verdict).toBe('yes')
  })

  it('is no when something behind the open port has no group at all', () => {
    const stray = { at: '0000:01:01.0', parent: PORT.at, group: null }
    const functions = [{ ...PORT, acs: null }, { ...CARD, group: '0' }, stray]
    expect(p2p(functions, '0').verdict).toBe('no')
  })

  it('is no for both when one of two cards below an open bridge is elsewhere', () => {
    const bridge = { ...PORT, type: 7 }
    const functions = [
      bridge,
      { ...CARD, group: '0' },
      { at: '0000:01:01.0', parent: PORT.at, group: '9' },
    ]
    expect(p2p(functions, '0').verdict).toBe('no')
    expect(p2p(functions, '9').verdict).toBe('no')
  })

  it('looks all the way up: an open port above a clean switch counts', () => {
    const functions = [
      { ...PORT, acs: null },
      { at: '0000:01:00.0', parent: PORT.at, type: 5, classCode: BRIDGE, group: '1' },
      {
        at: '0000:02:00.0',
        parent: '0000:01:00.0',
        type: 6,
        acs: ON,
        classCode: BRIDGE,
        group: '2',
      },
      { at: '0000:03:00.0', parent: '0000:02:00.0', group: '3' },
    ]
    expect(p2p(functions, '3').evidence).toContain('0000:00:01.0 has no ACS capability')
  })

  it('is unknown, not no and not yes, when the port could not be read', () => {
    const verdict = p2p([{ ...PORT, acs: 'unknown' }, CARD], '1')
    expect(verdict.verdict).toBe('unknown')
    expect(verdict.evidence).toContain('only 64 bytes readable')
  })

  it('is yes even when the port could not be read, if all it could reach is in the group', () => {
    const functions: DescribedFunction[] = [
      { ...PORT, acs: 'unknown', type: 'unknown' },
      { ...CARD, group: '0' },
    ]
    expect(p2p(functions, '0').verdict).toBe('yes')
  })

  it('a certain hole outranks an unknown one', () => {
    const functions: DescribedFunction[] = [
      { ...PORT, acs: null },
      { at: '0000:01:00.0', parent: PORT.at, type: 'unknown', classCode: BRIDGE, group: '1' },
      { at: '0000:02:00.0', parent: '0000:01:00.0', group: '2' },
    ]
    expect(p2p(functions, '2').verdict).toBe('no')
  })
})

describe('p2p inside a switch', () => {
  function twoPorts(
    first: DescribedFunction['acs'],
    second: DescribedFunction['acs'],
  ): DescribedFunction[] {
    const up = '0000:01:00.0'
    const down = { parent: up, type: 6, classCode: BRIDGE }
    return [
      PORT,
      { at: up, parent: PORT.at, type: 5, classCode: BRIDGE, group: '1' },
      { ...down, at: '0000:02:00.0', acs: first ?? null, group: '2' },
      { at: '0000:03:00.0', parent: '0000:02:00.0', group: '2' },
      { ...down, at: '0000:02:01.0', acs: second ?? null, group: '4' },
      { at: '0000:04:00.0', parent: '0000:02:01.0', group: '4' },
    ]
  }

  it('is no for both ports without ACS although the kernel gives each its own group', () => {
    const functions = twoPorts(null, null)
    expect(p2p(functions, '2').verdict).toBe('no')
    expect(p2p(functions, '4').verdict).toBe('no')
    expect(p2p(functions, '2').evidence).toContain('inside the switch')
  })

  it('is yes when both have it', () => {
    expect(p2p(twoPorts(ON, ON), '2').verdict).toBe('yes')
  })

  it('is no for the good neighbour too: what is below the bad port can reach it', () => {
    const functions = twoPorts(ON, null)
    expect(p2p(functions, '2')).toEqual({
      verdict: 'no',
      evidence:
        '0000:02:01.0 has no ACS capability: inside the switch, devices below it can reach those below 0000:02:00.0',
    })
  })

  it('an empty bad neighbour sends nothing and does no harm', () => {
    const functions = twoPorts(ON, null).filter(({ at }) => at !== '0000:04:00.0')
    expect(p2p(functions, '2').verdict).toBe('yes')
  })

  it('is unknown when the neighbour could not be read', () => {
    expect(p2p(twoPorts(ON, 'unknown'), '2').verdict).toBe('unknown')
  })

  it('is yes when one group holds both ports and what is below', () => {
    const functions = twoPorts(null, null).map((fn) => ({ ...fn, group: '2' }))
    expect(p2p(functions, '2').verdict).toBe('yes')
  })

  it('is no when the group holds the neighbouring port, but not the card below it', () => {
    const functions = twoPorts(null, null).map((fn) =>
      fn.at === '0000:04:00.0' ? fn : { ...fn, group: '2' },
    )
    expect(p2p(functions, '2').verdict).toBe('no')
  })
})

describe('p2p inside a slot', () => {
  const first: DescribedFunction = {
    at: '0000:01:00.0',
    parent: PORT.at,
    multifunction: true,
    group: '1',
  }
  const second: DescribedFunction = { ...first, at: '0000:01:00.1', group: '2' }

  it('is no for functions without ACS in two groups', () => {
    expect(p2p([PORT, first, second], '1').verdict).toBe('no')
    expect(p2p([PORT, first, second], '2').verdict).toBe('no')
  })

  it('is yes when one group holds both', () => {
    expect(p2p([PORT, first, { ...second, group: '1' }], '1').verdict).toBe('yes')
  })

  it('is yes when both have ACS', () => {
    const functions = [PORT, { ...first, acs: ON }, { ...second, acs: ON }]
    expect(p2p(functions, '1').verdict).toBe('yes')
  })

  it('is no for a function with ACS whose mate lacks it: the mate can reach it', () => {
    const functions = [PORT, { ...first, acs: ON }, second]
    expect(p2p(functions, '1').evidence).toContain('0000:01:00.1')
    expect(p2p(functions, '1').verdict).toBe('no')
    expect(p2p(functions, '2').verdict).toBe('no')
  })

  it('a host bridge beside a root port sends nothing (AMD has one in every slot of ports)', () => {
    const dummy = { at: '0000:00:01.1', type: null, classCode: 0x060000, group: '7' }
    expect(p2p([{ ...PORT, multifunction: true }, dummy, CARD], '1').verdict).toBe('yes')
  })

  it('what a vendor states about the chip holds for both directions', () => {
    const nic = { ...first, ids: '8086:1521' }
    expect(p2p([PORT, nic, second], '1').verdict).toBe('yes')
  })

  it('an open mate of a port above counts, since what is below the mate can reach the card', () => {
    const mate = { ...PORT, at: '0000:00:01.1', acs: null, group: '5' }
    const functions = [
      { ...PORT, multifunction: true },
      mate,
      CARD,
      { at: '0000:02:00.0', parent: mate.at, group: '5' },
    ]
    expect(p2p(functions, '1').verdict).toBe('no')
  })

  it('virtual functions are no slot mates', () => {
    const vf = { ...second, physicalFunction: first.at, multifunction: false }
    expect(p2p([PORT, { ...first, multifunction: false }, vf], '2').verdict).toBe('yes')
  })

  it('nor are they for their physical function, which may have real mates', () => {
    const mate = { ...second, group: '1' }
    const vf = { ...first, at: '0000:01:00.2', physicalFunction: first.at, group: '2' }
    expect(p2p([PORT, first, mate, vf], '1').verdict).toBe('yes')
  })

  it('an IOMMU in the slot is not counted (AMD puts it beside the host bridge)', () => {
    const bridge = { at: '0000:00:00.0', type: null, classCode: 0x060000, group: '0' }
    const iommu = { at: '0000:00:00.2', type: null, classCode: 0x080600, group: null }
    expect(p2p([bridge, iommu], '0').verdict).toBe('yes')
  })
})

describe('p2p when part of the host is not shown', () => {
  it('is unknown for an endpoint on a bus that no listed bridge leads to', () => {
    expect(p2p([{ at: '0000:05:00.0', group: '1' }], '1').verdict).toBe('unknown')
  })

  it('is unknown when the bridge is named but not listed', () => {
    expect(p2p([{ at: '0000:05:00.0', parent: '0000:00:1c.0', group: '1' }], '1').verdict).toBe(
      'unknown',
    )
  })

  it('is yes on a second root bus, whose devices are of types that belong there', () => {
    expect(p2p([{ at: '0000:80:05.0', type: 9, group: '1' }], '1').verdict).toBe('yes')
  })

  it('is unknown in a hidden domain whose host is not known', () => {
    expect(p2p([{ at: '10000:e0:06.0', type: 9, group: '1' }], '1').verdict).toBe('unknown')
  })

  it('follows a hidden domain up through its host', () => {
    const host = { ...CARD, at: '0000:01:00.0', multifunction: true, group: '1' }
    const mate = { ...host, at: '0000:01:00.1', group: '2' }
    const child = { at: '10000:e0:06.0', type: 9, group: '1' }
    const more = { functions: [], hostedBuses: [{ bus: '10000:e0', host: host.at }] }
    expect(p2p([PORT, host, child], '1', more).verdict).toBe('yes')
    expect(p2p([PORT, { ...host, group: '3' }, mate, child], '1', more).verdict).toBe('no')
  })

  it('is unknown for members that were not read, and for groups of other buses', () => {
    const host: TestHost = {
      functions: [PORT, CARD],
      groupFacts: { '1': { members: [CARD.at, '0000:01:00.7'] } },
    }
    expect(groupIn(host, '1').strength.p2p.verdict).toBe('unknown')
    const platform: TestHost = {
      functions: [PORT],
      groupFacts: { '0': { members: ['dma0'] } },
      others: [{ name: 'dma0', bus: unknown('not said'), driver: unknown('not said'), group: '0' }],
    }
    expect(groupIn(platform, '0').strength.p2p.verdict).toBe('unknown')
  })
})
