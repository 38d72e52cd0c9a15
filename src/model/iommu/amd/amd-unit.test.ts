import { describe, expect, it } from 'vitest'
import { plainMessage } from '../../hardware/interrupt-message.ts'
import type { IommuDescription } from '../../machine/description.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import { READ, WRITE } from '../domain.ts'
import { context, description, pciDevice, pciDevices } from '../tables/machine.case.ts'
import type { IommuUnit } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { amdUnits } from './amd-unit.ts'

/** Six levels, guest APIC; with GA (bit 7) clear entries of interrupts have 4 bytes. */
const ZEN = '58f77ef22294ade'
const OLD = '58f77ef22294a1e'

function unit(
  machine: UnitContext = context(),
  features = ZEN,
  changes: Partial<IommuDescription> = {},
): IommuUnit {
  const units = [{ name: 'ivhd0', attributes: { features }, scope: null }]
  const [made] = amdUnits(machine, description('amd', { units, ...changes }))
  if (made === undefined) throw new Error('no unit')
  return made
}

function device(): PciDevice {
  return pciDevices(1)[0] as PciDevice
}

/** The device table is the first thing a unit takes, aligned to its 2 MiB. */
const DEVICE_TABLE = 512

function entry({ memory }: UnitContext, requester: number): readonly number[] {
  const at = (requester % 128) * 8
  return [...memory.words(DEVICE_TABLE + (requester >>> 7))].slice(at, at + 8)
}

describe('the device table that the AMD driver writes', () => {
  it('blocks every id from the start, since an entry of zeros would let it through', () => {
    const machine = context()
    const amd = unit(machine)
    expect(entry(machine, 0xffff)).toEqual([3, 0, 0, 0, 1, 0, 0, 0])
    expect(amd.hardware.translate(0xffff, 1, true)).toBe(-1)
    expect(amd.hardware.faults[0]).toMatchObject({ reason: 2, text: 'IO_PAGE_FAULT', page: 1 })
    machine.memory.setWord(DEVICE_TABLE, 0, 0)
    expect(amd.hardware.translate(0, 1, true)).toBe(1)
  })

  it('points an id at tables, lets it pass, or blocks it', () => {
    const machine = context()
    const amd = unit(machine)
    const domain = amd.createDomain('DMA')
    amd.attach(device(), domain)
    const words = entry(machine, 0x100)
    // V, TV, mode 3; rights in bits 61 and 62; domain 1.
    expect((words[0] ?? 0) & 0xfff).toBe(0x603)
    expect(words.slice(1, 4)).toEqual([0x60000000, 1, 0])
    const moved = device()
    amd.attach(moved, amd.createDomain('identity'))
    expect(entry(machine, 0x100).slice(0, 4)).toEqual([3, 0x60000000, 2, 0])
    expect(amd.hardware.translate(0x100, 0x777, true)).toBe(0x777)
    amd.attach(moved, amd.createDomain('blocked'))
    expect(entry(machine, 0x100).slice(0, 4)).toEqual([3, 0, 0, 0])
    expect(amd.hardware.translate(0x100, 0x777, true)).toBe(-1)
  })

  it('has the entry for every id of a device', () => {
    const amd = unit()
    const port = pciDevice('0000:00:04.0', { pcieType: 4, headerType: 1 })
    const bridge = pciDevice('0000:07:00.0', { below: port, pcieType: 7, headerType: 1 })
    const behind = pciDevice('0000:08:01.0', { below: bridge, pcieType: null })
    const domain = amd.createDomain('unmanaged')
    domain.map(1, 2, 1, READ)
    amd.attach(behind, domain)
    expect([0x808, 0x800, 0x810].map((id) => amd.hardware.translate(id, 1, false))).toEqual([
      2, 2, -1,
    ])
    amd.release(behind)
    expect([0x808, 0x800].map((id) => amd.hardware.translate(id, 1, false))).toEqual([-1, -1])
  })
})

describe('page tables that the AMD driver writes', () => {
  it('have size-coded pages, repeated as often as they are large', () => {
    const machine = context()
    const amd = unit(machine)
    const domain = amd.createDomain('DMA')
    amd.attach(device(), domain)
    // 16 KiB, 8 KiB and 4 KiB, then 4 MiB two levels up.
    domain.map(4, 0x100004, 7, READ)
    domain.map(1024, 2048, 1024, READ | WRITE)
    let page = (entry(machine, 0x100)[0] ?? 0) >>> 12
    page = machine.memory.word(page, 0) >>> 12
    const level2 = machine.memory.words(page)
    // 4 MiB: bits 20:12 ones, bit 21 zero; next level 7, twice.
    for (const index of [2, 3]) {
      expect([level2[index * 2], level2[index * 2 + 1]]).toEqual([0x9ffe01, 0x70000000])
    }
    const level1 = machine.memory.words((level2[0] ?? 0) >>> 12)
    expect((level2[0] ?? 0) & 0xfff).toBe(0x201)
    const found = [4, 5, 6, 7, 8, 9, 10, 11].map((index) => level1[index * 2])
    expect(found).toEqual([0x5e01, 0x5e01, 0x5e01, 0x5e01, 0x8e01, 0x8e01, 0xa001, 0])
    expect(level1[9]).toBe(0x30000001)
    expect(domain.unmap(7, 1)).toBe(4)
    expect(domain.physicalPage(8)).toBe(0x100008)
  })

  it('grow when a higher address is mapped, and the hardware follows', () => {
    const machine = context()
    const amd = unit(machine)
    const domain = amd.createDomain('DMA')
    amd.attach(device(), domain)
    domain.map(1, 100, 1, READ)
    expect(amd.hardware.translate(0x100, 1, false)).toBe(100)
    const mode = (): number => ((entry(machine, 0x100)[0] ?? 0) >>> 9) & 7
    for (const [page, levels] of [
      [2 ** 27, 4],
      [2 ** 36, 5],
      [2 ** 51, 6],
    ] as const) {
      domain.map(page, 200, 1, WRITE)
      expect(mode()).toBe(levels)
      expect(amd.hardware.translate(0x100, page, true)).toBe(200)
      expect(amd.hardware.translate(0x100, page, false)).toBe(-1)
      expect(amd.hardware.translate(0x100, 1, false)).toBe(100)
    }
  })

  it('grow without a further table while they are empty', () => {
    const domain = unit().createDomain('DMA')
    domain.map(2 ** 36, 1, 1, READ)
    expect(domain.tableBytes).toBe(5 * 4096)
    domain.map(0, 1, 1, READ)
    expect(domain.tableBytes).toBe(9 * 4096)
  })

  it('grow no further than the hardware reads', () => {
    // HATS 0: four levels.
    const amd = unit(context(), '58f77ef222940de')
    const domain = amd.createDomain('DMA')
    domain.map(2 ** 36 - 1, 1, 1, READ)
    expect(() => domain.map(2 ** 36, 1, 1, READ)).toThrow('ENOMEM')
    const wide = unit().createDomain('DMA')
    wide.map(2 ** 51, 1, 1, READ)
    expect(() => amd.attach(device(), wide)).toThrow('EINVAL')
  })

  it('allow what every entry on the way allows', () => {
    const machine = context()
    const amd = unit(machine)
    const domain = amd.createDomain('DMA')
    amd.attach(device(), domain)
    domain.map(0, 7, 1, READ | WRITE)
    const root = (entry(machine, 0x100)[0] ?? 0) >>> 12
    machine.memory.setWord(root, 1, 0x20000000)
    expect(amd.hardware.translate(0x100, 0, true)).toBe(-1)
    expect(amd.hardware.translate(0x100, 0, false)).toBe(7)
  })
})

describe('AMD hardware', () => {
  it('refuses entries it cannot read', () => {
    const machine = context()
    const amd = unit(machine)
    const reasons = [0xe03, 0x43].map((low) => {
      machine.memory.setWord(DEVICE_TABLE, 0, low)
      amd.hardware.clearFaults()
      amd.hardware.translate(0, 1, false)
      return amd.hardware.faults[0]?.text
    })
    expect(reasons).toEqual(['ILLEGAL_DEV_TABLE_ENTRY', 'ILLEGAL_DEV_TABLE_ENTRY'])
    machine.memory.setWord(DEVICE_TABLE, 1, 0x600000ff)
    machine.memory.setWord(DEVICE_TABLE, 0, 0x603)
    amd.hardware.clearFaults()
    expect(amd.hardware.translate(0, 1, false)).toBe(-1)
    expect(amd.hardware.faults[0]?.text).toBe('PAGE_TAB_HARDWARE_ERROR')
  })

  it('has no memory in the HyperTransport range', () => {
    const amd = unit()
    amd.attach(device(), amd.createDomain('identity'))
    expect(amd.hardware.translate(0x100, 0xfd00000, true)).toBe(-1)
    expect(amd.hardware.faults[0]?.text).toBe('INVALID_DEVICE_REQUEST')
    expect(amd.hardware.translate(0x100, 0x10000000, true)).toBe(0x10000000)
  })

  it('keeps device table entries until told to forget them', () => {
    const machine = context()
    const amd = unit(machine)
    amd.attach(device(), amd.createDomain('identity'))
    expect(amd.hardware.translate(0x100, 1, true)).toBe(1)
    machine.memory.setWord(DEVICE_TABLE + 2, 1, 0)
    expect(amd.hardware.translate(0x100, 1, true)).toBe(1)
    amd.release(device())
  })

  it('records 512 events', () => {
    const amd = unit()
    for (let page = 0; page < 600; page += 1) amd.hardware.translate(5, page, false)
    expect(amd.hardware.faults.length).toBe(512)
  })
})

describe('the AMD driver', () => {
  it('has the hardware forget a domain whose id goes to another one', () => {
    const amd = unit()
    const one = device()
    for (const target of [10, 20]) {
      const domain = amd.createDomain('unmanaged')
      domain.map(1, target, 1, READ)
      amd.attach(one, domain)
      expect(amd.hardware.translate(0x100, 1, false)).toBe(target)
      amd.release(one)
      domain.destroy()
      expect(domain).toMatchObject({ id: 1 })
    }
  })

  it('takes ids from one pool for all units, and gives them back', () => {
    const units = ['ivhd0', 'ivhd1'].map((name) => ({ name, attributes: {}, scope: null }))
    const [a, b] = amdUnits(context(), description('amd', { units }))
    const ids = [a, b, a].map((one) => (one?.createDomain('DMA') as unknown as { id: number }).id)
    expect(ids).toEqual([1, 2, 3])
    const gone = a?.createDomain('DMA')
    gone?.destroy()
    expect(b?.createDomain('identity')).toMatchObject({ id: 4 })
  })

  it('does not cover its own function', () => {
    const amd = unit()
    expect(amd.covers(pciDevice('0000:00:00.2', { classCode: 0x080600 }))).toBe(false)
    expect(amd.covers(device())).toBe(true)
  })

  it('reserves the interrupt window and the HyperTransport range', () => {
    expect(unit().reservedRegions(device())).toEqual([
      { firstPage: 0xfee00, lastPage: 0xfeeff, kind: 'msi' },
      { firstPage: 0xfd00000, lastPage: 0xfffffff, kind: 'reserved' },
    ])
  })

  it('wants identity for devices that translate user addresses themselves', () => {
    const gpu = pciDevice('0000:05:00.0', { extended: [0x0f, 0x13, 0x1b] })
    const half = pciDevice('0000:06:00.0', { extended: [0x1b] })
    const required = (release: string, features = ZEN): unknown[] =>
      [gpu, half, device()].map((one) => unit(context(release), features).requiredDomainType(one))
    expect(required('6.1.0')).toEqual(['identity', null, null])
    expect(required('6.12.0')).toEqual(['identity', 'identity', null])
    // Without guest translation (bit 4) nothing of that works.
    expect(required('6.12.0', '58f77ef22294ace')).toEqual([null, null, null])
  })

  it('reads the feature file of old and new kernels', () => {
    // HATS 0 in one register, 2 in the other: which one counts shows in how far tables grow.
    const grows = (release: string, features: string): boolean => {
      try {
        unit(context(release), features)
          .createDomain('DMA')
          .map(2 ** 40, 1, 1, READ)
        return true
      } catch {
        return false
      }
    }
    expect(grows('6.1.0', '0:800')).toBe(true)
    expect(grows('6.1.0', '800:10')).toBe(false)
    expect(grows('6.12.0', '800:0')).toBe(true)
    expect(grows('6.12.0', '10:800')).toBe(false)
    expect(grows('6.12.0', '800:10')).toBe(true)
  })
})

describe('interrupt remapping of AMD-Vi', () => {
  const IRQ = { vector: 0x41, destination: 3 }

  it.each([
    ['16-byte entries', ZEN, 0x12345678],
    ['4-byte entries', OLD, 0x78],
  ])('delivers what a device was given a message for (%s)', (_name, features, destination) => {
    const machine = context()
    const amd = unit(machine, features)
    const [a, b] = pciDevices(2) as readonly [PciDevice, PciDevice]
    amd.interrupts?.allocate(a, [IRQ])
    const [, message = { address: 0, data: 0 }] =
      amd.interrupts?.allocate(a, [IRQ, { vector: 0x99, destination }]) ?? []
    expect(message).toEqual({ address: 0xfee00000, data: 3 })
    expect(amd.hardware.interrupt(0x100, message.address, message.data)).toEqual({
      vector: 0x99,
      destination,
    })
    // Valid, 512 entries; remapped.
    const words = entry(machine, 0x100)
    expect([(words[4] ?? 0) & 0xfff, words[5]]).toEqual([0x013, 0x20000000])
    // Another device's index 3 is in another table.
    amd.interrupts?.allocate(b, [IRQ])
    expect(amd.hardware.interrupt(0x200, message.address, message.data)).toBe(null)
    expect(amd.hardware.interrupt(0x300, message.address, message.data)).toBe(null)
    expect(amd.hardware.faults.map(({ text }) => text)).toEqual(['IO_PAGE_FAULT', 'IO_PAGE_FAULT'])
  })

  it('blocks what was given back, and indexes beyond the table', () => {
    const amd = unit()
    const one = device()
    const messages = amd.interrupts?.allocate(one, [IRQ]) ?? []
    expect(amd.hardware.interrupt(0x100, 0xfee00000, 0)).toEqual(IRQ)
    amd.interrupts?.free(one, messages)
    expect(amd.hardware.interrupt(0x100, 0xfee00000, 0)).toBe(null)
    expect(amd.hardware.interrupt(0x100, 0xfee00000, 512)).toBe(null)
    for (let n = 0; n < 512; n += 1) amd.interrupts?.allocate(one, [IRQ])
    expect(() => amd.interrupts?.allocate(one, [IRQ])).toThrow('ENOSPC')
  })

  it('shares a table among devices that share an id', () => {
    const amd = unit()
    const port = pciDevice('0000:00:04.0', { pcieType: 4, headerType: 1 })
    const bridge = pciDevice('0000:07:00.0', { below: port, pcieType: 7, headerType: 1 })
    const pair = ['0000:08:01.0', '0000:08:02.0'].map((at) =>
      pciDevice(at, { below: bridge, pcieType: null }),
    )
    const data = pair.map((one) => amd.interrupts?.allocate(one, [IRQ])[0]?.data)
    expect(data).toEqual([0, 1])
    expect(amd.hardware.interrupt(0x800, 0xfee00000, 0)).toEqual(IRQ)
    expect(amd.hardware.interrupt(0x800, 0xfee00000, 1)).toEqual(IRQ)
  })

  it('passes plain messages when it is off', () => {
    const amd = unit(context(), ZEN, { interruptRemapping: false })
    const { address, data } = plainMessage(IRQ)
    expect([amd.isolatesInterrupts, amd.interrupts]).toEqual([false, undefined])
    expect(amd.hardware.interrupt(0x100, address, data)).toEqual(IRQ)
  })
})
