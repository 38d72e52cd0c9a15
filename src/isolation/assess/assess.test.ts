import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { known } from '../../base/fact.ts'
import { parseMachine } from '../../open/machine-file.ts'
import { assessSnapshot, GOOD_HOST, NOT_READ, pick, snapshotOf } from './assess.case.ts'

const AMD_HOST = {
  ...GOOD_HOST,
  functions: [
    { at: '0000:00:00.0', type: null, classCode: 0x060000, group: null },
    { at: '0000:00:00.2', type: null, classCode: 0x080600, group: null },
    { at: '0000:00:14.0', type: null, group: null },
    ...GOOD_HOST.functions,
  ],
}

describe('assess()', () => {
  it('keeps the order of the groups and lists their members as devices', () => {
    const { groups } = assessSnapshot(snapshotOf(GOOD_HOST))
    expect(groups.map(({ id, members }) => [id, members.map(({ address }) => address)])).toEqual([
      ['0', ['0000:00:01.0']],
      ['1', ['0000:01:00.0']],
    ])
  })

  it('tells members of other buses and members that were not read from PCI functions', () => {
    const snapshot = snapshotOf({
      ...GOOD_HOST,
      groupFacts: { '1': { members: ['0000:01:00.0', 'dma0', 'lost0'] } },
      others: [
        { name: 'dma0', bus: known('platform'), driver: known(null), group: '1' },
        { name: 'lost0', bus: known('platform'), driver: known(null), group: '0' },
      ],
    })
    const group = pick(assessSnapshot(snapshot), '1')
    expect(group.others.map(({ name }) => name)).toEqual(['dma0'])
    expect(group.unlisted).toEqual(['lost0'])
  })

  it('an IOMMU and a host bridge have no group on any host; another function without one is a fault', () => {
    const { ungrouped } = assessSnapshot(snapshotOf(AMD_HOST))
    expect(ungrouped.map(({ node, kind }) => [node.address, kind])).toEqual([
      ['0000:00:00.0', 'normal'],
      ['0000:00:00.2', 'normal'],
      ['0000:00:14.0', 'no-group'],
    ])
    expect(ungrouped[2]?.strength.dma.verdict).toBe('no')
  })

  it('without any group the reason is the IOMMU, for host bridges too', () => {
    const functions = AMD_HOST.functions.map((fn) => ({ ...fn, group: null }))
    const { groups, ungrouped } = assessSnapshot(snapshotOf({ functions }))
    expect(groups).toEqual([])
    expect(new Set(ungrouped.map(({ kind }) => kind))).toEqual(new Set(['no-group']))
    expect(ungrouped[0]?.reason).toContain('no IOMMU is in use')
  })

  it('unknown groups make every function unknown, never ungrouped', () => {
    const { groups, ungrouped } = assessSnapshot({ ...snapshotOf(GOOD_HOST), groups: NOT_READ })
    expect(groups).toEqual([])
    expect(ungrouped.map(({ kind, reason }) => [kind, reason])).toEqual([
      ['unknown', 'groups: permission denied'],
      ['unknown', 'groups: permission denied'],
    ])
    expect(ungrouped[0]?.strength.translation.verdict).toBe('unknown')
  })

  it('a function whose own group was not read, or does not list it, is unknown too', () => {
    const functionFacts = { '0000:01:00.0': { group: NOT_READ } }
    const groupFacts = { '0': { members: [] }, '1': { members: [] } }
    const snapshot = snapshotOf({ ...GOOD_HOST, groupFacts, functionFacts })
    expect(assessSnapshot(snapshot).ungrouped.map(({ kind, reason }) => [kind, reason])).toEqual([
      ['unknown', 'it names group 0, which does not list it: the host changed while it was read'],
      ['unknown', 'group: permission denied'],
    ])
  })
})

/** On these, peers can reach each other for certain, always through a switch whose ports lack ACS. */
const OPEN_SWITCHES: Readonly<Record<string, string>> = {
  'dell-xps13-9360': '17 18 19',
  'lambda-wrx80-4090': '39 40 41 42 43 44 45 46 47 48 49 50 51 54',
  'q35-intel-iommu-on': '11 12',
}

describe('assess() on real machines', () => {
  const folder = new URL('../../../machines/', import.meta.url)
  const textOf = (name: string): string => readFileSync(new URL(name, folder), 'utf8')
  const files = readdirSync(folder).filter(
    (name) => name.endsWith('.json') && textOf(name).includes('"isogroup-machine"'),
  )

  it('has some to look at', () => {
    expect(files.length).toBeGreaterThanOrEqual(8)
  })

  it.each(files)('%s: p2p is no exactly below switches without ACS', (file) => {
    const machine = parseMachine(JSON.parse(textOf(file)))
    const { groups } = assessSnapshot(machine.snapshot)
    const open = groups.filter(({ strength }) => strength.p2p.verdict === 'no')
    expect(open.map(({ id }) => id).join(' ')).toBe(OPEN_SWITCHES[machine.name] ?? '')
    for (const { strength } of open) expect(strength.p2p.evidence).toContain('inside the switch')
  })
})
