import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known } from '../../../base/fact.ts'
import { hex, parseAddress } from '../../../pci/address.ts'
import { decodeConfig } from '../../../pci/config-decode.ts'
import { encodeConfig } from '../../../pci/config-encode.ts'
import type { ConfigFacts } from '../../../pci/config-facts.ts'
import { Errno } from '../../errno.ts'
import type { FunctionDescription, MachineDescription } from '../description.ts'
import { applyChanges, type Templates } from './apply-changes.ts'

const NONE: ConfigFacts = {
  ...decodeConfig(new Uint8Array(256), true),
  acs: known(null),
  sriov: known(null),
}

function fn(
  at: string,
  parent: string | null,
  of: { type?: number | null; buses?: string; acs?: boolean; vfs?: number } = {},
): FunctionDescription {
  const { type = 0, buses, acs = false, vfs } = of
  const [primary = 0, secondary = 0, subordinate = 0] =
    buses?.split('-').map((part) => parseInt(part, 16)) ?? []
  const bits = known({ capability: 0x5f, control: 0 })
  const extended = [...(acs ? [0x0d] : []), ...(vfs === undefined ? [] : [0x10])]
  const facts: ConfigFacts = {
    ...NONE,
    headerType: known(buses === undefined ? 0 : 1),
    buses: known(buses === undefined ? null : { primary, secondary, subordinate }),
    pcie: known(type === null ? null : { type }),
    capabilities: known(type === null ? [] : [0x10]),
    extendedCapabilities: known(extended),
    acs: known(acs ? { bits, wideBits: bits } : null),
    sriov: known(
      vfs === undefined ? null : { totalVfs: vfs, numVfs: 0, offset: 1, stride: 1, vfDevice: 9 },
    ),
  }
  const identity = { vendor: 1, device: 2, classCode: 0x020000, revision: 0, subsystem: null }
  const { bytes } = encodeConfig(identity, facts)
  const config = Array.from(bytes, (byte) => hex(byte, 2)).join('')
  return { at, parent, kind: 'generic', config, bars: [] }
}

function machine(functions: readonly FunctionDescription[]): MachineDescription {
  return {
    name: 'test',
    title: 'test',
    kernelRelease: '6.12',
    commandLine: '',
    cpu: { vendor: 'GenuineIntel', flags: [] },
    acpiTables: [],
    memoryBytes: 1 << 30,
    iommu: {
      kind: 'intel',
      interruptRemapping: true,
      units: [{ name: 'dmar0', attributes: {}, scope: ['0000:01:00.0'] }],
      defaultDomain: 'DMA',
      reserved: [{ at: '0000:01:00.0', start: '0x0', end: '0xfff', kind: 'direct' }],
    },
    functions,
    hostedBuses: [],
    drivers: [],
    names: {},
  }
}

/** Two ports with a two-function card below the first; a switch below the third. */
const MACHINE = machine([
  fn('0000:00:01.0', null, { type: 4, buses: '00-01-01', acs: true }),
  fn('0000:00:02.0', null, { type: 4, buses: '00-02-02' }),
  fn('0000:00:03.0', null, { type: 4, buses: '00-03-05' }),
  fn('0000:01:00.0', '0000:00:01.0', { vfs: 4 }),
  fn('0000:01:00.1', '0000:00:01.0'),
  fn('0000:03:00.0', '0000:00:03.0', { type: 5, buses: '03-04-05' }),
  fn('0000:04:00.0', '0000:03:00.0', { type: 6, buses: '04-05-05' }),
  fn('0000:05:00.0', '0000:04:00.0'),
])

const noTemplates: Templates = () => undefined
const switchTemplate: Templates = (kind) => {
  if (kind !== 'port') return undefined
  const { config, bars } = fn('', null, { type: 6, buses: '00-00-00' })
  return { kind, config, bars }
}

function places(of: MachineDescription): readonly string[] {
  return of.functions.map(({ at, parent }) => `${at} below ${parent ?? 'the root'}`)
}

function facts(of: MachineDescription, at: string): ConfigFacts {
  const found = of.functions.find((one) => one.at === at)
  return decodeConfig(
    Uint8Array.from(found?.config.match(/../g) ?? [], (pair) => parseInt(pair, 16)),
    true,
  )
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof Errno) return error.code
  }
  return 'none'
}

describe('applyChanges', () => {
  it('without changes gives the machine back, bridges before what is below them', () => {
    const { machine: same, addresses } = applyChanges(MACHINE, [], noTemplates)
    expect([...places(same)].sort()).toEqual([...places(MACHINE)].sort())
    expect(new Map(same.functions.map((one) => [one.at, one.config]))).toEqual(
      new Map(MACHINE.functions.map((one) => [one.at, one.config])),
    )
    expect([...addresses].every(([old, now]) => old === now)).toBe(true)
    const seen = new Set<string | null>([null])
    for (const { at, parent } of same.functions) {
      expect(seen).toContain(parent)
      seen.add(at)
    }
  })

  it('moves a card with all its functions, and everything that names them follows', () => {
    const move = { kind: 'move', device: '0000:01:00.1', port: '0000:00:02.0' } as const
    const { machine: moved, addresses, notes } = applyChanges(MACHINE, [move], noTemplates)
    expect(addresses.get('0000:01:00.0')).toBe('0000:02:00.0')
    expect(addresses.get('0000:01:00.1')).toBe('0000:02:00.1')
    expect(places(moved)).toContain('0000:02:00.1 below 0000:00:02.0')
    expect(moved.iommu?.units[0]?.scope).toEqual(['0000:02:00.0'])
    expect(moved.iommu?.reserved[0]?.at).toBe('0000:02:00.0')
    expect(notes.join()).toContain('0000:01:00.0')
  })

  it('numbers buses again as firmware does when a switch moves in a machine without gaps', () => {
    const move = { kind: 'move', device: '0000:03:00.0', port: '0000:00:02.0' } as const
    const { machine: moved } = applyChanges(MACHINE, [move], noTemplates)
    expect(places(moved)).toEqual([
      '0000:00:01.0 below the root',
      '0000:01:00.0 below 0000:00:01.0',
      '0000:01:00.1 below 0000:00:01.0',
      '0000:00:02.0 below the root',
      '0000:02:00.0 below 0000:00:02.0',
      '0000:03:00.0 below 0000:02:00.0',
      '0000:04:00.0 below 0000:03:00.0',
      '0000:00:03.0 below the root',
    ])
    expect(facts(moved, '0000:00:02.0').buses).toEqual(
      known({ primary: 0, secondary: 2, subordinate: 4 }),
    )
    expect(facts(moved, '0000:00:03.0').buses).toEqual(
      known({ primary: 0, secondary: 5, subordinate: 5 }),
    )
  })

  it('keeps the numbers of a machine with gaps where the window of the port has room', () => {
    const gaps = machine([
      fn('0000:00:01.0', null, { type: 4, buses: '00-10-1f' }),
      fn('0000:00:02.0', null, { type: 4, buses: '00-20-20' }),
      fn('0000:20:00.0', '0000:00:02.0'),
    ])
    const add = { kind: 'add', what: 'port', port: '0000:00:01.0' } as const
    const { machine: grown, addresses } = applyChanges(gaps, [add], switchTemplate)
    expect(addresses.get('0000:20:00.0')).toBe('0000:20:00.0')
    expect(places(grown)).toContain('0000:10:00.0 below 0000:00:01.0')
    expect(facts(grown, '0000:10:00.0').buses).toEqual(
      known({ primary: 0x10, secondary: 0x11, subordinate: 0x11 }),
    )
  })

  it('gives a port an ACS capability that implements what isolation needs, and takes one away', () => {
    const on = { kind: 'acs', on: true, port: '0000:00:02.0' } as const
    const off = { kind: 'acs', on: false, port: '0000:00:01.0' } as const
    const { machine: changed } = applyChanges(MACHINE, [on, off], noTemplates)
    const given = facts(changed, '0000:00:02.0')
    expect(given.acs).toMatchObject({ value: { bits: { value: { capability: 0x5f } } } })
    expect(given.damage).toEqual([])
    expect(facts(changed, '0000:00:01.0').acs).toEqual(known(null))
  })

  it('keeps other extended capabilities when it takes ACS away', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([1, 2, 3, 0x0d, 0x19], { minLength: 1 }), (ids) => {
        const base = fn('0000:00:01.0', null, { type: 4, buses: '00-01-01' })
        const identity = { vendor: 1, device: 2, classCode: 0x060400, revision: 0, subsystem: null }
        const { bytes } = encodeConfig(identity, {
          ...facts(machine([base]), base.at),
          extendedCapabilities: known(ids),
        })
        const config = Array.from(bytes, (byte) => hex(byte, 2)).join('')
        const before = machine([{ ...base, config }])
        const on = ids.includes(0x0d)
        const change = { kind: 'acs', on: !on, port: base.at } as const
        const after = facts(applyChanges(before, [change], noTemplates).machine, base.at)
        const left = ids.filter((id) => id !== 0x0d)
        const listed = after.extendedCapabilities.known ? after.extendedCapabilities.value : []
        expect(listed.filter((id) => id !== 0)).toEqual(on ? left : [...left, 0x0d])
        expect(after.damage).toEqual([])
      }),
    )
  })

  it('refuses what cannot be, by name of the reason', () => {
    const attempt = (change: Parameters<typeof applyChanges>[1][number]): string =>
      codeOf(() => applyChanges(MACHINE, [change], noTemplates))
    const device = '0000:01:00.0'
    expect(attempt({ kind: 'move', device, port: '0000:05:00.0' })).toBe('EINVAL')
    expect(attempt({ kind: 'move', device, port: '0000:00:01.0' })).toBe('EINVAL')
    expect(attempt({ kind: 'move', device, port: '0000:00:03.0' })).toBe('ENOSPC')
    expect(attempt({ kind: 'move', device: '0000:00:03.0', port: '0000:04:00.0' })).toBe('EINVAL')
    expect(attempt({ kind: 'move', device: '0000:09:00.0', port: '0000:00:02.0' })).toBe('ENODEV')
    expect(attempt({ kind: 'add', what: 'port', port: '0000:00:02.0' })).toBe('EINVAL')
    expect(attempt({ kind: 'vfs', device, count: 5 })).toBe('ERANGE')
    expect(attempt({ kind: 'vfs', device: '0000:01:00.1', count: 1 })).toBe('EINVAL')
    expect(attempt({ kind: 'acs', on: false, port: '0000:00:02.0' })).toBe('EINVAL')
    expect(attempt({ kind: 'move', device: '0000:00:03.0', port: '0000:00' })).toBe('EINVAL')
  })

  it('says in a refusal what is in the slot and where there is room', () => {
    const move = { kind: 'move', device: '0000:01:00.0', port: '0000:00:03.0' } as const
    expect(() => applyChanges(MACHINE, [move], noTemplates)).toThrow(
      'no slot is free below 0000:00:03.0, which has 0000:03:00.0; ' +
        'there is room below 0000:00:02.0 0000:03:00.0, and on root bus 0000:00, ' +
        'or say `remove 0000:03:00.0` before this change',
    )
    const onto = { kind: 'add', what: 'port', port: '0000:05:00.0' } as const
    expect(() => applyChanges(MACHINE, [onto], switchTemplate)).toThrow(
      'there is room below 0000:00:02.0',
    )
  })

  it('gives another driver to a virtual function, and refuses everything else for one', () => {
    const two = { kind: 'vfs', device: '0000:01:00.0', count: 2 } as const
    const { machine: base } = applyChanges(
      machine(MACHINE.functions.filter(({ at }) => at !== '0000:01:00.1')),
      [two],
      noTemplates,
    )
    const device = '0000:01:00.2'
    const bind = { kind: 'bind', device, driver: 'vfio-pci' } as const
    const { machine: bound } = applyChanges(base, [bind], noTemplates)
    expect(bound.functions.find(({ at }) => at === '0000:01:00.0')?.virtualFunctions).toEqual([
      {},
      { driver: 'vfio-pci' },
    ])
    const remove = { kind: 'remove', device } as const
    expect(() => applyChanges(base, [remove], noTemplates)).toThrow(
      '0000:01:00.2 is a virtual function and has no place of its own; change 0000:01:00.0',
    )
    // One more than there are.
    expect(() => applyChanges(base, [{ ...bind, device: '0000:01:00.3' }], noTemplates)).toThrow(
      '0000:01:00.3 is not in the machine',
    )
  })

  it('notes what is so already', () => {
    const { notes, machine: same } = applyChanges(
      MACHINE,
      [
        { kind: 'acs', on: true, port: '0000:00:01.0' },
        { kind: 'intremap', on: true },
        { kind: 'iommu', on: true },
      ],
      noTemplates,
    )
    expect(notes).toEqual([
      '0000:00:01.0 implements all of ACS that isolation needs already',
      'interrupt remapping is on already',
      'the IOMMU (intel) is on already',
    ])
    expect(places(same)).toEqual(places(applyChanges(MACHINE, [], noTemplates).machine))
  })

  it('removes a function with all below it, and says when function 0 goes before its mates', () => {
    const gone = applyChanges(
      MACHINE,
      [
        { kind: 'remove', device: '0000:03:00.0' },
        { kind: 'remove', device: '0000:01:00.0' },
      ],
      noTemplates,
    )
    expect(gone.machine.functions.map(({ at }) => at)).toEqual([
      '0000:00:01.0',
      '0000:01:00.1',
      '0000:00:02.0',
      '0000:00:03.0',
    ])
    expect(gone.notes.join()).toContain('0000:01:00.1')
    expect(gone.machine.iommu?.reserved).toEqual([])
  })

  it('sets what concerns the whole machine', () => {
    const { machine: changed } = applyChanges(
      MACHINE,
      [
        { kind: 'kernel', version: '6.1' },
        { kind: 'intremap', on: false },
        { kind: 'vfs', device: '0000:01:00.0', count: 2 },
        { kind: 'bind', device: '0000:01:00.1', driver: 'vfio-pci' },
      ],
      noTemplates,
    )
    expect(changed.kernelRelease).toBe('6.1')
    expect(changed.iommu?.interruptRemapping).toBe(false)
    const [, card, second] = changed.functions
    expect(card?.virtualFunctions).toEqual([{}, {}])
    expect(second?.driver).toBe('vfio-pci')
    const off = applyChanges(changed, [{ kind: 'iommu', on: false }], noTemplates).machine
    expect(off.iommu).toBeNull()
    expect(applyChanges(off, [{ kind: 'iommu', on: true }], noTemplates).machine.iommu).not.toBe(
      null,
    )
  })

  it('lets later changes build on what was added, and tells where it went', () => {
    const { machine: grown, added } = applyChanges(
      MACHINE,
      [
        { kind: 'add', what: 'port', port: '0000:00' },
        { kind: 'add', what: 'port', port: 'new1' },
        { kind: 'move', device: '0000:01:00.0', port: 'new2' },
        { kind: 'bind', device: 'new2', driver: 'none-such' },
      ],
      switchTemplate,
    )
    // The first free slot of the root bus, before the ports that were there.
    expect([...added]).toEqual([
      ['new1', '0000:00:00.0'],
      ['new2', '0000:01:00.0'],
    ])
    expect(places(grown).slice(0, 4)).toEqual([
      '0000:00:00.0 below the root',
      '0000:01:00.0 below 0000:00:00.0',
      '0000:02:00.0 below 0000:01:00.0',
      '0000:02:00.1 below 0000:01:00.0',
    ])
    expect(grown.functions[1]?.driver).toBe('none-such')
    const gone = applyChanges(
      MACHINE,
      [
        { kind: 'add', what: 'port', port: '0000:00' },
        { kind: 'remove', device: 'new1' },
      ],
      switchTemplate,
    )
    expect(places(gone.machine)).toEqual(places(applyChanges(MACHINE, [], noTemplates).machine))
    expect(gone.added.size).toBe(0)
  })

  it('has the command line follow, and what the hardware would have to be able to', () => {
    const line = (of: MachineDescription, ...changes: Parameters<typeof applyChanges>[1]): string =>
      applyChanges(of, changes, noTemplates).machine.commandLine
    const plain = { ...MACHINE, commandLine: 'quiet intel_iommu=on' }
    const off = line(plain, { kind: 'intremap', on: false })
    expect(off).toBe('quiet intel_iommu=on intremap=off')
    expect(line({ ...plain, commandLine: off }, { kind: 'intremap', on: true })).toBe(
      'quiet intel_iommu=on',
    )
    expect(line(plain, { kind: 'iommu', on: false })).toBe('quiet iommu=off')
    expect(line(plain, { kind: 'iommu', on: false }, { kind: 'iommu', on: true })).toBe(
      'quiet intel_iommu=on',
    )
    const unable = { name: 'dmar0', attributes: { ecap: 'f42' }, scope: null }
    const { iommu } = plain
    const old = { ...plain, iommu: iommu === null ? null : { ...iommu, units: [unable] } }
    const able = applyChanges(old, [{ kind: 'intremap', on: true }], noTemplates)
    expect(able.machine.iommu?.units[0]?.attributes).toEqual({ ecap: 'f4a' })
    expect(able.notes).toContain(
      'dmar0 cannot remap interrupts (ecap f42); after the change it can',
    )
  })

  it('refuses to switch what is no switch: interrupts of POWER and GART, or without an IOMMU', () => {
    const switched = (kind: 'power' | 'gart' | null): string =>
      codeOf(() => {
        const { iommu } = MACHINE
        const of = kind === null || iommu === null ? null : { ...iommu, kind }
        applyChanges({ ...MACHINE, iommu: of }, [{ kind: 'intremap', on: false }], noTemplates)
      })
    expect([switched('power'), switched('gart'), switched(null)]).toEqual(
      new Array(3).fill('EINVAL'),
    )
  })

  it('prints addresses that parse', () => {
    const { machine: same } = applyChanges(MACHINE, [], noTemplates)
    expect(same.functions.every(({ at }) => parseAddress(at) !== null)).toBe(true)
  })
})
