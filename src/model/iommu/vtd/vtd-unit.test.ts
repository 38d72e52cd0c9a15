import { describe, expect, it } from 'vitest'
import type { IommuDescription } from '../../machine/description.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { READ, WRITE } from '../domain.ts'
import { context, description, pciDevice, pciDevices } from '../tables/machine.case.ts'
import type { IommuUnit } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { vtdUnits } from './vtd-unit.ts'

/** 39 bits with 3 levels, 2 MiB and 1 GiB, one fault record; pass-through, interrupt remapping. */
const QEMU = { cap: 'd2008c22260286', ecap: 'f00f4a' }

function unit(
  machine: UnitContext = context(),
  attributes: Readonly<Record<string, string>> = QEMU,
  changes: Partial<IommuDescription> = {},
): IommuUnit {
  const units = [{ name: 'dmar0', attributes, scope: null }]
  const [made] = vtdUnits(machine, description('intel', { units, ...changes }))
  if (made === undefined) throw new Error('no unit')
  return made
}

function devices(count: number): readonly [PciDevice, PciDevice, ...PciDevice[]] {
  const [a, b, ...rest] = pciDevices(Math.max(2, count))
  if (a === undefined || b === undefined) throw new Error('no devices')
  return [a, b, ...rest]
}

/** The tables as they stand in memory, read by the specification. */
function tables({ memory }: UnitContext, rootTable: number, requester: number) {
  const root = [...memory.words(rootTable)].slice((requester >>> 8) * 4, (requester >>> 8) * 4 + 4)
  const contextTable = (root[0] ?? 0) >>> 12
  const at = (requester & 0xff) * 4
  return { root, contextTable, context: [...memory.words(contextTable)].slice(at, at + 4) }
}

/** The root table is the first page that a unit takes. */
const ROOT_TABLE = 1

describe('tables that the VT-d driver writes', () => {
  it('have a root entry by bus and a context entry by devfn', () => {
    const machine = context()
    const [device] = devices(1)
    const intel = unit(machine)
    const domain = intel.createDomain('DMA')
    expect(tables(machine, ROOT_TABLE, 0x100).root).toEqual([0, 0, 0, 0])
    intel.attach(device, domain)
    const { root, contextTable, context: entry } = tables(machine, ROOT_TABLE, 0x100)
    expect(root).toEqual([contextTable * 4096 + 1, 0, 0, 0])
    // Present, type 0, root of the tables; width 1 (39 bits), domain id 2.
    expect((entry[0] ?? 0) & 0xfff).toBe(0x001)
    expect(entry.slice(1)).toEqual([0, 0x201, 0])
    intel.attach(device, intel.createDomain('identity'))
    // Type 2: pass-through, under the id that 6.12 keeps for it.
    expect(tables(machine, ROOT_TABLE, 0x100).context).toEqual([0x009, 0, 0x101, 0])
    intel.attach(device, intel.createDomain('blocked'))
    expect(tables(machine, ROOT_TABLE, 0x100).context).toEqual([0, 0, 0, 0])
  })

  it('have pages of the largest size that fits', () => {
    const machine = context()
    const [device] = devices(1)
    const intel = unit(machine)
    const domain = intel.createDomain('DMA')
    intel.attach(device, domain)
    const top = (tables(machine, ROOT_TABLE, 0x100).context[0] ?? 0) >>> 12
    // 1 GiB + 2 MiB + 4 KiB, all aligned; physical above 4 GiB.
    domain.map(0x40000, 0x40000 * 9, 0x40000 + 0x200 + 1, READ | WRITE)
    const level3 = machine.memory.words(top)
    expect([level3[2], level3[3]]).toEqual([0x40000083, 2])
    expect((level3[4] ?? 0) & 0xfff).toBe(3)
    const level2 = machine.memory.words((level3[4] ?? 0) >>> 12)
    expect([level2[0], level2[1]]).toEqual([0x80000083, 2])
    expect((level2[2] ?? 0) & 0xfff).toBe(3)
    const level1 = machine.memory.words((level2[2] ?? 0) >>> 12)
    expect([level1[0], level1[1], level1[2]]).toEqual([0x80200003, 2, 0])
    expect(domain.tableBytes).toBe(3 * 4096)
    expect(domain.pageSizes).toEqual([0x40201000, 0])
    expect(domain.geometry).toEqual({ firstPage: 0, lastPage: 2 ** 27 - 1 })
    // A page is unmapped whole, from wherever one touches it.
    expect(domain.unmap(0x40000 + 12345, 1)).toBe(0x40000)
    expect(domain.unmap(0x80000, 0x201)).toBe(0x201)
    expect(domain.tableBytes).toBe(4096)
  })

  it('mark pages of users as snooped when the unit can, and only theirs', () => {
    const intel = unit(context(), { ...QEMU, ecap: 'f050da' })
    expect(intel.createDomain('unmanaged').enforcesCoherency).toBe(true)
    expect(intel.createDomain('DMA').enforcesCoherency).toBe(false)
    expect(unit().createDomain('unmanaged').enforcesCoherency).toBe(false)

    const machine = context()
    const snooping = unit(machine, { ...QEMU, ecap: 'f050da' })
    const [device] = devices(1)
    const domain = snooping.createDomain('unmanaged')
    snooping.attach(device, domain)
    domain.map(0, 5, 1, READ)
    let page = (tables(machine, ROOT_TABLE, 0x100).context[0] ?? 0) >>> 12
    for (let level = 3; level > 1; level -= 1) page = machine.memory.word(page, 0) >>> 12
    expect(machine.memory.word(page, 0)).toBe(0x5801)
  })

  it('have no entry for what is released, and give the memory back', () => {
    const machine = context()
    const [a, b] = devices(2)
    const intel = unit(machine)
    const domain = intel.createDomain('unmanaged')
    const fixed = machine.memory.usedPages - 1
    intel.attach(a, domain)
    intel.attach(b, domain)
    domain.map(0, 1, 3, READ)
    expect(() => domain.destroy()).toThrow('while devices are attached')
    intel.release(a)
    intel.release(b)
    domain.destroy()
    // What stays are the context tables of two buses.
    expect(machine.memory.usedPages).toBe(fixed + 2)
  })
})

describe('domain ids', () => {
  it('are the lowest free ones of each unit, one for all devices of a domain, and used again', () => {
    const machine = context('6.1.0')
    const [a, b, c] = pciDevices(3) as readonly [PciDevice, PciDevice, PciDevice]
    const intel = unit(machine)
    const [first, second] = [intel.createDomain('DMA'), intel.createDomain('DMA')]
    const idOf = (bus: number): number =>
      ((tables(machine, ROOT_TABLE, bus << 8).context[2] ?? 0) >>> 8) & 0xffff
    expect(intel.attributes['domains_used']).toBe('1')
    intel.attach(a, first)
    intel.attach(b, second)
    intel.attach(c, first)
    expect([idOf(1), idOf(2), idOf(3)]).toEqual([1, 2, 1])
    expect(intel.attributes['domains_used']).toBe('3')
    intel.attach(a, second)
    expect([idOf(1), idOf(3)]).toEqual([2, 1])
    intel.release(c)
    expect(intel.attributes['domains_used']).toBe('2')
    intel.attach(c, intel.createDomain('DMA'))
    expect(idOf(3)).toBe(1)
  })

  it('begin at 2 since 6.12, and run out', () => {
    // ND 0: 16 ids.
    const intel = unit(context(), { ...QEMU, cap: 'd2008c22260280' })
    expect(intel.attributes['domains_supported']).toBe('16')
    const many = pciDevices(15)
    for (const device of many.slice(0, 14)) intel.attach(device, intel.createDomain('DMA'))
    const last = many[14] as PciDevice
    expect(() => intel.attach(last, intel.createDomain('DMA'))).toThrow('ENOSPC')
    intel.attach(last, intel.createDomain('identity'))
    expect(intel.hardware.translate(0xf00, 99, true)).toBe(99)
  })

  it('are the units’ own: a domain behind two units is flushed in both', () => {
    const machine = context()
    const [a, b] = devices(2)
    const [one, two] = vtdUnits(
      machine,
      description('intel', {
        units: [
          { name: 'dmar0', attributes: QEMU, scope: [a.name] },
          { name: 'dmar1', attributes: QEMU, scope: null },
        ],
      }),
    ) as readonly [IommuUnit, IommuUnit]
    expect([one.covers(a), one.covers(b), two.covers(a), two.covers(b)]).toEqual([
      true,
      false,
      false,
      true,
    ])
    const domain = one.createDomain('unmanaged')
    one.attach(a, domain)
    two.attach(b, domain)
    domain.map(8, 9, 1, READ)
    expect(one.hardware.translate(0x100, 8, false)).toBe(9)
    expect(two.hardware.translate(0x200, 8, false)).toBe(9)
    domain.unmap(8, 1)
    expect(one.hardware.translate(0x100, 8, false)).toBe(-1)
    expect(two.hardware.translate(0x200, 8, false)).toBe(-1)
  })

  it('are not shared between units that walk different tables', () => {
    const machine = context()
    const [a] = devices(1)
    const other = (attributes: typeof QEMU): IommuUnit => unit(machine, attributes)
    const domain = unit(machine).createDomain('unmanaged')
    expect(() => other({ ...QEMU, cap: 'd2008c222f0686' }).attach(a, domain)).toThrow('EINVAL')
    expect(() => other({ ...QEMU, cap: 'd2000022260286' }).attach(a, domain)).toThrow('EINVAL')
    expect(() => other({ ...QEMU, ecap: 'f00f4b' }).attach(a, domain)).toThrow('EINVAL')
    // The same tables, but devices may use 39 bits of them only.
    const wide = other({ ...QEMU, cap: 'd2008c406f0462' }).createDomain('unmanaged')
    const narrow = other({ ...QEMU, cap: 'd2008c40660462' })
    expect(() => narrow.attach(a, wide)).toThrow('EINVAL')
    other({ ...QEMU, cap: 'd2008c406f0462' }).attach(a, narrow.createDomain('unmanaged'))
    const snooping = other({ ...QEMU, ecap: 'f050da' }).createDomain('unmanaged')
    expect(() => unit(machine).attach(a, snooping)).toThrow('EINVAL')
    unit(machine).attach(a, domain)
  })
})

describe('attaching', () => {
  it('makes an entry for every requester id of a device', () => {
    const intel = unit()
    const port = pciDevice('0000:00:04.0', { pcieType: 4, headerType: 1 })
    const bridge = pciDevice('0000:07:00.0', { below: port, pcieType: 7, headerType: 1 })
    const a = pciDevice('0000:08:01.0', { below: bridge, pcieType: null })
    const b = pciDevice('0000:08:02.0', { below: bridge, pcieType: null })
    const domain = intel.createDomain('unmanaged')
    domain.map(1, 2, 1, READ)
    const reach = (): readonly number[] =>
      [0x808, 0x810, 0x800, 0x818].map((id) => intel.hardware.translate(id, 1, false))
    for (const device of [a, b]) intel.attach(device, domain)
    expect(reach()).toEqual([2, 2, 2, -1])
    const user = intel.createDomain('unmanaged')
    user.map(1, 3, 1, READ)
    for (const device of [a, b]) intel.attach(device, user)
    expect(reach()).toEqual([3, 3, 3, -1])
    for (const device of [a, b]) intel.attach(device, intel.createDomain('blocked'))
    expect(reach()).toEqual([-1, -1, -1, -1])
  })

  it('moves a device at once, whatever the hardware remembers', () => {
    const intel = unit()
    const [device] = devices(1)
    const [one, two] = [intel.createDomain('DMA'), intel.createDomain('unmanaged')]
    one.map(1, 10, 1, READ)
    two.map(1, 20, 1, READ)
    intel.attach(device, one)
    expect(intel.hardware.translate(0x100, 1, false)).toBe(10)
    intel.attach(device, two)
    expect(intel.hardware.translate(0x100, 1, false)).toBe(20)
    // The id that `one` had is free and may be taken by a domain with the same pages.
    const three = intel.createDomain('DMA')
    three.map(1, 30, 1, READ)
    intel.attach(device, three)
    expect(intel.hardware.translate(0x100, 1, false)).toBe(30)
    intel.release(device)
    expect(intel.hardware.translate(0x100, 1, false)).toBe(-1)
  })

  it('takes no tables for further devices of a domain', () => {
    const machine = context()
    const intel = unit(machine)
    const many = pciDevices(64)
    const domain = intel.createDomain('unmanaged')
    domain.map(0, 1, 5000, READ)
    const bytes = domain.tableBytes
    const used = machine.memory.usedPages
    for (const device of many) intel.attach(device, domain)
    expect(domain.tableBytes).toBe(bytes)
    expect(machine.memory.usedPages).toBe(used + 64)
  })

  it('refuses domains of others, and mappings outside the range', () => {
    const intel = unit()
    const [device] = devices(1)
    const domain = intel.createDomain('DMA')
    expect(() => domain.map(2 ** 27, 1, 1, READ)).toThrow('EINVAL')
    expect(() => domain.map(0, 1, 0, READ)).toThrow('EINVAL')
    expect(() => domain.map(0, 1, 1, 0)).toThrow('EINVAL')
    expect(() => intel.createDomain('identity').map(0, 1, 1, READ)).toThrow('EINVAL')
    const foreign = { ...domain }
    expect(() => intel.attach(device, foreign)).toThrow('EINVAL')
  })

  it('makes identity of tables where the hardware has no pass-through', () => {
    const machine = context('6.1.0')
    const intel = unit(machine, { ...QEMU, ecap: 'f00f0a' })
    const [device] = devices(1)
    intel.attach(device, intel.createDomain('identity'))
    const last = machine.memory.totalPages - 1
    expect(intel.hardware.translate(0x100, last, true)).toBe(last)
    expect(intel.hardware.translate(0x100, last + 1, true)).toBe(-1)
    expect(intel.requiredDomainType(device)).toBe(null)
    expect(unit(context('6.12.0'), { ...QEMU, ecap: 'f00f0a' }).requiredDomainType(device)).toBe(
      'DMA',
    )
  })

  it('refuses users a device with an RMRR up to 6.5, and says so in the log', () => {
    const reserved = [
      { at: '0000:01:00.0', start: '0x7b000000', end: '0x7b7fffff', kind: 'direct' as const },
    ]
    const [a, b] = devices(2)
    const old = context('6.1.0')
    const intel = unit(old, QEMU, { reserved })
    expect(intel.reservedRegions(a)).toEqual([
      { firstPage: 0x7b000, lastPage: 0x7b7ff, kind: 'direct' },
      { firstPage: 0xfee00, lastPage: 0xfeeff, kind: 'msi' },
    ])
    expect(() => intel.attach(a, intel.createDomain('unmanaged'))).toThrow('EPERM')
    expect(old.log).toEqual([
      'pci 0000:01:00.0: Device is ineligible for IOMMU domain attach due to platform RMRR requirement.  Contact your platform vendor.',
    ])
    intel.attach(a, intel.createDomain('DMA'))
    intel.attach(b, intel.createDomain('unmanaged'))
    const later = unit(context('6.12.0'), QEMU, { reserved })
    later.attach(a, later.createDomain('unmanaged'))
  })
})
