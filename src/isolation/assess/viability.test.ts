import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { known, unknown } from '../../base/fact.ts'
import { unreadConfig } from '../../pci/config-facts.ts'
import { groupIn, NOT_READ, type TestHost } from './assess.case.ts'
import { driverRole, HARMLESS_DRIVERS, VFIO_DRIVERS } from './driver-roles.ts'
import type { Viability } from './viability.ts'

const BRIDGE = 0x060400

/** One group: a bridge and a card, with these drivers. */
function viability(
  bridge: string | null,
  card: string | null,
  more: Partial<TestHost> = {},
): Viability {
  const functions = [
    { at: '0000:00:01.0', type: 4, classCode: BRIDGE, group: '1', driver: bridge },
    { at: '0000:01:00.0', parent: '0000:00:01.0', group: '1', driver: card },
  ]
  return groupIn({ functions, ...more }, '1').viability
}

const OLD = { kernel: '5.18.0' }

describe('viability since 5.19', () => {
  it('is given when nothing is bound', () => {
    expect(viability(null, null)).toEqual({
      verdict: 'viable',
      rule: 'since-5.19',
      blockers: [],
      unknowns: [],
      owner: 'none',
    })
  })

  it.each([...VFIO_DRIVERS, 'mlx5-vfio-pci', 'vfio_pci'])(
    'with %s the group is for a user',
    (driver) => {
      expect(viability('pcieport', driver)).toMatchObject({ verdict: 'viable', owner: 'user' })
    },
  )

  it.each(HARMLESS_DRIVERS)('%s keeps nobody out', (driver) => {
    expect(viability(driver, null)).toMatchObject({ verdict: 'viable', owner: 'none' })
  })

  it.each(['e1000e', 'shpchp', 'xen-pciback', 'uio_pci_generic', 'nvidia'])(
    '%s keeps users out',
    (driver) => {
      const found = viability('pcieport', driver)
      expect(found).toMatchObject({ verdict: 'not-viable', owner: 'kernel' })
      expect(found.blockers).toMatchObject([{ device: '0000:01:00.0', driver }])
    },
  )

  it('shpchp on a bridge blocks now, and did not before 5.19', () => {
    expect(viability('shpchp', 'vfio-pci')).toMatchObject({ verdict: 'not-viable', owner: 'mixed' })
    expect(viability('shpchp', 'vfio-pci', OLD)).toMatchObject({
      verdict: 'viable',
      rule: 'before-5.19',
      owner: 'user',
    })
    expect(viability('shpchp', 'vfio-pci', { kernel: '5.19.0' }).rule).toBe('since-5.19')
  })
})

describe('viability before 5.19', () => {
  it('a kernel driver on a device blocks all the same', () => {
    expect(viability('shpchp', 'e1000e', OLD).blockers).toMatchObject([{ driver: 'e1000e' }])
  })

  it('is unknown when nobody can tell whether the member is a bridge', () => {
    const found = viability(null, 'odd', {
      ...OLD,
      functionFacts: {
        '0000:01:00.0': {
          classCode: NOT_READ,
          config: unreadConfig('permission denied'),
        },
      },
    })
    expect(found).toMatchObject({ verdict: 'unknown', owner: 'unknown' })
  })
})

describe('viability when something is unknown', () => {
  const functionFacts = { '0000:01:00.0': { driver: NOT_READ } }

  it('an unread driver leaves it open, unless another member blocks anyway', () => {
    expect(viability(null, null, { functionFacts })).toMatchObject({
      verdict: 'unknown',
      unknowns: [{ device: '0000:01:00.0', why: 'driver: permission denied' }],
    })
    expect(viability('shpchp', null, { functionFacts })).toMatchObject({
      verdict: 'not-viable',
      owner: 'unknown',
    })
  })

  it('a driver that is only named like VFIO is not trusted', () => {
    expect(viability(null, 'acme_vfio')).toMatchObject({ verdict: 'unknown', owner: 'unknown' })
  })

  it('without a kernel version it is given only where both rules agree', () => {
    const unsaid = { kernel: 'not a version' }
    expect(viability('shpchp', 'vfio-pci', unsaid).verdict).toBe('unknown')
    expect(viability('pcieport', 'vfio-pci', unsaid).verdict).toBe('viable')
    expect(viability(null, 'e1000e', unsaid).verdict).toBe('not-viable')
  })

  it('members that are no PCI functions count, and members that were not read leave it open', () => {
    const groupFacts = { '1': { members: ['0000:01:00.0', 'dma0'] } }
    const dma = { name: 'dma0', bus: known('platform'), group: '1' }
    const withDriver = (driver: string | null): Viability =>
      viability(null, null, { groupFacts, others: [{ ...dma, driver: known(driver) }] })
    expect(withDriver('vfio-platform')).toMatchObject({ verdict: 'viable', owner: 'user' })
    expect(withDriver('dma-pl330').blockers).toMatchObject([{ device: 'dma0' }])
    expect(viability(null, null, { groupFacts }).verdict).toBe('unknown')
  })
})

describe('viability as a whole', () => {
  const driver = fc.constantFrom(null, 'e1000e', 'vfio-pci', 'pcieport', 'shpchp', 'acme-vfio')
  const kernel = fc.constantFrom('5.4.0', '5.19.0', '6.12.1')

  it('not knowing one driver never makes a group viable that was not', () => {
    fc.assert(
      fc.property(driver, driver, kernel, (bridge, card, version) => {
        const full = viability(bridge, card, { kernel: version })
        for (const at of ['0000:00:01.0', '0000:01:00.0']) {
          const functionFacts = { [at]: { driver: unknown('not read') } }
          const less = viability(bridge, card, { kernel: version, functionFacts })
          expect(less.verdict).not.toBe('viable')
          if (full.verdict === 'viable') expect(less.verdict).toBe('unknown')
        }
      }),
    )
  })

  it('lists a blocker for every verdict against, and nothing for a verdict in favour', () => {
    fc.assert(
      fc.property(driver, driver, kernel, (bridge, card, version) => {
        const found = viability(bridge, card, { kernel: version })
        expect(found.blockers.length > 0).toBe(found.verdict === 'not-viable')
        if (found.verdict === 'viable') expect(found.unknowns).toEqual([])
        if (found.owner === 'user') expect(found.verdict).toBe('viable')
      }),
    )
  })

  it('every driver with a role has it under both spellings', () => {
    for (const name of [...VFIO_DRIVERS, ...HARMLESS_DRIVERS]) {
      expect(driverRole(name.replaceAll('-', '_'))).toBe(driverRole(name.replaceAll('_', '-')))
    }
  })
})
