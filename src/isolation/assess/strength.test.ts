import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fact, known } from '../../base/fact.ts'
import { unreadConfig } from '../../pci/config-facts.ts'
import { predictGroups } from '../groups/predict.ts'
import { rulesFor } from '../groups/rules.ts'
import type { HostSnapshot, PciFunction } from '../host.ts'
import { buildTopology } from '../topology/topology.ts'
import {
  assessSnapshot,
  GOOD_HOST,
  groupIn,
  NOT_READ,
  pick,
  snapshotOf,
  type TestHost,
} from './assess.case.ts'
import { weaker } from './guarantee.ts'
import { noGroupStrength, STRENGTH_BITS, type Strength, unreadGroupStrength } from './strength.ts'

function verdicts(strength: Strength): string {
  return STRENGTH_BITS.map((bit) => `${bit} ${strength[bit].verdict}`).join(', ')
}

function region(kind: string): { start: string; end: string; kind: string } {
  return { start: '0x00000000fee00000', end: '0x00000000feefffff', kind }
}

describe('strengthOf()', () => {
  it('gives everything to a card below a clean port on a host with interrupt remapping', () => {
    expect(verdicts(groupIn(GOOD_HOST, '1').strength)).toBe(
      'translation yes, dma yes, p2p yes, msi yes, reset yes, identity yes',
    )
  })

  it('gives evidence for every verdict', () => {
    const { strength } = groupIn(GOOD_HOST, '1')
    for (const bit of STRENGTH_BITS) expect(strength[bit].evidence).not.toBe('')
  })
})

describe('identity', () => {
  it.each([
    ['direct', 'no'],
    ['direct-relaxable', 'yes'],
    ['reserved', 'yes'],
    ['msi', 'yes'],
  ])('a region of kind %s: %s', (kind, verdict) => {
    const groupFacts = { '1': { reserved: known([region('msi'), region(kind)]) } }
    expect(groupIn({ ...GOOD_HOST, groupFacts }, '1').strength.identity.verdict).toBe(verdict)
  })

  it('is unknown with the reason when the regions could not be read', () => {
    const { identity } = groupIn(
      { ...GOOD_HOST, groupFacts: { '1': { reserved: NOT_READ } } },
      '1',
    ).strength
    expect(identity).toEqual({
      verdict: 'unknown',
      evidence: 'reserved regions of group 1: permission denied',
    })
  })
})

describe('groups that VFIO makes up without an IOMMU', () => {
  const named = { '1': { name: known('vfio-noiommu') } }

  it('give no guarantee but that of resets', () => {
    const { strength } = groupIn({ ...GOOD_HOST, groupFacts: named }, '1')
    expect(verdicts(strength)).toBe(
      'translation no, dma no, p2p no, msi no, reset yes, identity no',
    )
    expect(strength.translation.evidence).toContain('vfio-noiommu')
  })

  function unnamed(driver: string | null, more: Partial<TestHost> = {}): Strength {
    const [port, card] = GOOD_HOST.functions
    if (port === undefined || card === undefined) throw new Error('the host lacks its functions')
    const functions = [port, { ...card, driver }]
    const groupFacts = { '1': { name: NOT_READ, reserved: NOT_READ } }
    return groupIn({ ...GOOD_HOST, functions, groupFacts, ...more }, '1').strength
  }

  it('are told by their node when the name is unknown', () => {
    const vfio = { ...GOOD_HOST.vfio, nodes: known(['vfio', 'noiommu-1']) }
    expect(unnamed('vfio-pci', { vfio }).dma.verdict).toBe('no')
    expect(unnamed('vfio-pci').dma.verdict).toBe('yes')
  })

  it('are not ruled out for a lone function on a VFIO driver when nothing tells', () => {
    const vfio = { ...GOOD_HOST.vfio, nodes: NOT_READ }
    expect(unnamed('vfio-pci', { vfio }).translation.verdict).toBe('unknown')
    expect(unnamed('acme-vfio', { vfio }).dma.verdict).toBe('unknown')
    const functionFacts = { '0000:01:00.0': { driver: NOT_READ } }
    expect(unnamed(null, { vfio, functionFacts }).dma.verdict).toBe('unknown')
    expect(unnamed('e1000e', { vfio }).translation.verdict).toBe('yes')
    expect(unnamed(null, { vfio }).translation.verdict).toBe('yes')
  })
})

describe('strength without a group', () => {
  it('is no where there certainly is none, and unknown where nobody knows', () => {
    const none = noGroupStrength('no IOMMU is in use')
    expect(verdicts(none)).toBe(
      'translation no, dma no, p2p no, msi no, reset unknown, identity no',
    )
    expect(none.dma.evidence).toBe('no IOMMU is in use')
    const open = unreadGroupStrength('not read')
    expect(STRENGTH_BITS.every((bit) => open[bit].verdict === 'unknown')).toBe(true)
  })
})

describe('weaker()', () => {
  it('takes no before unknown before yes, and the first of equals', () => {
    const guarantee = fc.record({
      verdict: fc.constantFrom('yes', 'no', 'unknown'),
      evidence: fc.string({ minLength: 1 }),
    })
    const rank = { no: 0, unknown: 1, yes: 2 }
    fc.assert(
      fc.property(guarantee, guarantee, (a, b) => {
        expect(weaker(a, b)).toBe(rank[b.verdict] < rank[a.verdict] ? b : a)
      }),
    )
  })
})

/** Small hosts with everything that bears on strength: ports, a switch, functions of one slot. */
const bits = fc.constantFrom([0x5f, 0x1d] as const, null)
const someHost = fc
  .record({
    port: bits,
    left: bits,
    right: bits,
    slot: bits,
    groups: fc.array(fc.constantFrom('1', '2', '3', '4'), { minLength: 7, maxLength: 7 }),
    methods: fc.constantFrom([], ['bus'], ['flr']),
    chip: fc.constantFrom('IR-IO-APIC', 'IO-APIC', 'PCI-MSIX-0000:03:00.0'),
    kind: fc.constantFrom('direct', 'msi'),
    name: fc.constantFrom(null, 'vfio-noiommu'),
    driver: fc.constantFrom(null, 'vfio-pci', 'e1000e'),
  })
  .map(({ port, left, right, slot, groups, methods, chip, kind, name, driver }): TestHost => {
    const bridge = { classCode: 0x060400 }
    const card = { resetMethods: methods, driver, acs: slot, multifunction: true }
    const functions = [
      { ...bridge, at: '0000:00:01.0', type: 4, acs: port },
      { ...bridge, at: '0000:01:00.0', parent: '0000:00:01.0', type: 5 },
      { ...bridge, at: '0000:02:00.0', parent: '0000:01:00.0', type: 6, acs: left },
      { ...bridge, at: '0000:02:01.0', parent: '0000:01:00.0', type: 6, acs: right },
      { ...card, at: '0000:03:00.0', parent: '0000:02:00.0' },
      { ...card, at: '0000:03:00.1', parent: '0000:02:00.0' },
      { ...card, at: '0000:04:00.0', parent: '0000:02:01.0', multifunction: false },
    ]
    return {
      functions: functions.map((fn, index) => ({ ...fn, group: groups[index] ?? '1' })),
      chips: known([chip]),
      groupFacts: { '1': { reserved: known([region(kind)]), name: known(name) } },
    }
  })

type Forget = (snapshot: HostSnapshot) => HostSnapshot

function forgetIn(at: number, change: Partial<PciFunction>): Forget {
  return (snapshot) => ({
    ...snapshot,
    functions: snapshot.functions.map((fn, index) => (index === at ? { ...fn, ...change } : fn)),
  })
}

function forgetGroup(facts: { name?: Fact<never>; reserved?: Fact<never> }): Forget {
  return (snapshot) => ({
    ...snapshot,
    groups: snapshot.groups.known
      ? known(snapshot.groups.value.map((group) => ({ ...group, ...facts })))
      : snapshot.groups,
  })
}

const forgetting = fc.oneof(
  fc.nat(6).map((at) => forgetIn(at, { config: unreadConfig('permission denied') })),
  fc.nat(6).map((at) => forgetIn(at, { resetMethods: NOT_READ })),
  fc.nat(6).map((at) => forgetIn(at, { driver: NOT_READ })),
  fc.nat(6).map((at) => forgetIn(at, { vendor: NOT_READ, device: NOT_READ, classCode: NOT_READ })),
  fc.constant<Forget>((snapshot) => ({ ...snapshot, interruptChips: NOT_READ })),
  fc.constant<Forget>((snapshot) => ({ ...snapshot, units: NOT_READ, commandLine: NOT_READ })),
  fc.constant<Forget>((snapshot) => ({ ...snapshot, vfio: { ...snapshot.vfio, nodes: NOT_READ } })),
  fc.constant(forgetGroup({ reserved: NOT_READ })),
  fc.constant<Forget>((snapshot) =>
    forgetGroup({ name: NOT_READ })({ ...snapshot, vfio: { ...snapshot.vfio, nodes: NOT_READ } }),
  ),
)

describe('strength as a whole', () => {
  it('what is not known never turns a no into a yes', () => {
    fc.assert(
      fc.property(
        someHost,
        fc.array(forgetting, { minLength: 1, maxLength: 4 }),
        (host, changes) => {
          const full = snapshotOf(host)
          const less = changes.reduce((snapshot, forget) => forget(snapshot), full)
          const before = assessSnapshot(full)
          const after = assessSnapshot(less)
          for (const { id, strength } of before.groups) {
            for (const bit of STRENGTH_BITS) {
              if (strength[bit].verdict !== 'no') continue
              expect(`${bit} ${pick(after, id).strength[bit].verdict}`).not.toBe(`${bit} yes`)
            }
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('one group that holds everything has no peers to reach', () => {
    fc.assert(
      fc.property(someHost, (host) => {
        const functions = host.functions.map((fn) => ({ ...fn, group: '1' }))
        const { p2p } = groupIn({ ...host, functions, groupFacts: {} }, '1').strength
        expect(p2p.verdict).toBe('yes')
      }),
    )
  })

  it('in the groups that the kernel forms, only a switch and a one-sided slot let peers through', () => {
    fc.assert(
      fc.property(someHost, (host) => {
        const alone = snapshotOf({ ...host, groupFacts: {} })
        const { groups } = predictGroups(buildTopology(alone), alone, rulesFor(alone, null))
        const ids = new Map(
          groups.flatMap(({ devices }, id) => devices.map((at) => [at, String(id)])),
        )
        const functions = host.functions.map((fn) => ({ ...fn, group: ids.get(fn.at) ?? null }))
        for (const { strength } of assessSnapshot(snapshotOf({ ...host, functions })).groups) {
          if (strength.p2p.verdict === 'yes') continue
          expect(strength.p2p.evidence).toMatch(/inside the switch|inside their slot|vfio-noiommu/)
        }
      }),
    )
  })
})
