import { describe, expect, it } from 'vitest'
import { READ, WRITE } from '../domain.ts'
import { IommuGroup } from '../group.ts'
import { context, description, pciDevice, pciDevices } from '../tables/machine.case.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { IommuUnit } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { powerUnits } from './power-unit.ts'

/** PE 0x10: the first two devices; PE 2: the third; the fourth has none. */
function machine(): {
  context: UnitContext
  unit: IommuUnit
  devices: readonly [PciDevice, PciDevice, PciDevice, PciDevice]
} {
  const made = context()
  const devices = pciDevices(4) as readonly [PciDevice, PciDevice, PciDevice, PciDevice]
  const [a, b, c] = devices
  const partitions = [
    { pe: 0x10, functions: [a.name, b.name] },
    { pe: 2, functions: [c.name] },
  ]
  const [unit] = powerUnits(made, description('power', { partitions }))
  if (unit === undefined) throw new Error('no unit')
  return { context: made, unit, devices }
}

describe('partitionable endpoints', () => {
  it('are the groups', () => {
    const { unit, devices } = machine()
    const [a, b, c, d] = devices
    expect(devices.map((device) => unit.covers(device))).toEqual([true, true, true, false])
    expect(unit.groupOf(a)).toBe('new')
    expect(unit.groupName(a)).toBe('domain0-pe10')
    expect(unit.groupName(c)).toBe('domain0-pe2')
    const group = new IommuGroup(7, unit.groupName(a), unit)
    a.iommuGroup = group
    expect(unit.groupOf(b)).toBe(group)
    expect(unit.groupOf(c)).toBe('new')
    a.iommuGroup = null
    unit.release(a)
    expect(unit.groupOf(b)).toBe('new')
    expect(unit.covers(d)).toBe(false)
  })

  it('keep their windows until the last member goes', () => {
    const { unit, devices } = machine()
    const [a, b] = devices
    const domain = unit.createDomain('unmanaged')
    domain.map(3, 9, 1, READ)
    unit.attach(a, domain)
    unit.attach(b, domain)
    expect(unit.hardware.translate(0x200, 3, false)).toBe(9)
    unit.release(a)
    expect(unit.hardware.translate(0x200, 3, false)).toBe(9)
    expect(unit.hardware.translate(0x100, 3, false)).toBe(-1)
    unit.hardware.clearFaults()
    unit.release(b)
    expect(unit.hardware.translate(0x200, 3, false)).toBe(-1)
    domain.destroy()
    expect(domain.tableBytes).toBe(0)
  })

  it('keep the id of a bridge while a member behind it is left', () => {
    const bridge = pciDevice('0000:00:1e.0', { pcieType: null, headerType: 1 })
    const pair = ['0000:01:04.0', '0000:01:05.0'].map((at) =>
      pciDevice(at, { below: bridge, pcieType: null }),
    ) as unknown as readonly [PciDevice, PciDevice]
    const partitions = [{ pe: 1, functions: [bridge.name] }]
    const [unit] = powerUnits(context(), description('power', { partitions }))
    const domain = unit?.createDomain('DMA')
    if (unit === undefined || domain === undefined) throw new Error('no unit')
    domain.map(3, 9, 1, READ)
    for (const device of pair) unit.attach(device, domain)
    unit.release(pair[0])
    expect(unit.hardware.translate(0x0f0, 3, false)).toBe(9)
    unit.release(pair[1])
    expect(unit.hardware.translate(0x0f0, 3, false)).toBe(-1)
  })

  it('freeze at the first error, with one record, until somebody thaws them', () => {
    const { unit, devices } = machine()
    const [a, b, c] = devices
    const domain = unit.createDomain('DMA')
    domain.map(3, 9, 1, READ)
    for (const device of [a, b, c]) unit.attach(device, domain)
    expect(unit.hardware.translate(0x100, 3, true)).toBe(-1)
    expect(unit.hardware.translate(0x100, 3, false)).toBe(-1)
    expect(unit.hardware.translate(0x200, 3, false)).toBe(-1)
    expect(unit.hardware.translate(0x300, 3, false)).toBe(9)
    expect([0x100, 0x200, 0x300].map((id) => unit.hardware.isFrozen?.(id))).toEqual([
      true,
      true,
      false,
    ])
    expect(unit.hardware.faults).toMatchObject([{ requester: 0x100, text: 'TCE is not writable' }])
    unit.hardware.clearFaults()
    expect(unit.hardware.translate(0x200, 3, false)).toBe(9)
  })

  it('have a window at 0 and one behind bit 59', () => {
    const { unit, devices } = machine()
    const [a, , c] = devices
    unit.attach(a, unit.createDomain('identity'))
    expect(unit.hardware.translate(0x100, 5, true)).toBe(5)
    expect(unit.hardware.translate(0x100, 2 ** 47 + 5, true)).toBe(5)
    unit.attach(c, unit.createDomain('DMA'))
    expect(unit.hardware.translate(0x300, 2 ** 47 + 5, true)).toBe(-1)
    expect(unit.hardware.faults.at(-1)?.text).toBe('window is not set up (TVE invalid)')
    unit.hardware.clearFaults()
    expect(unit.hardware.translate(0x300, 2 ** 19, true)).toBe(-1)
    expect(unit.hardware.faults.at(-1)?.text).toBe('address is outside the window')
    unit.hardware.clearFaults()
    unit.attach(a, unit.createDomain('blocked'))
    expect(unit.hardware.translate(0x100, 5, true)).toBe(-1)
  })

  it('have entries with the most significant byte first', () => {
    const { context: made, unit } = machine()
    const domain = unit.createDomain('unmanaged')
    const root = made.memory.usedPages
    domain.map(0, 0x123456, 1, WRITE)
    expect(domain.geometry).toEqual({ firstPage: 0, lastPage: 0x7ffff })
    expect([...made.memory.bytes(root + 2, 1).slice(0, 8)]).toEqual([
      0, 0, 0, 1, 0x23, 0x45, 0x60, 0x03,
    ])
    // Pointers of upper levels have both rights.
    expect(made.memory.bytes(root, 1)[7]).toBe(3)
  })

  it('may raise the interrupts they were given, and no others', () => {
    const { unit, devices } = machine()
    const [a, b, c] = devices
    for (const device of [a, b, c]) unit.attach(device, unit.createDomain('DMA'))
    const irq = { vector: 0x30, destination: 1 }
    const messages = unit.interrupts?.allocate(a, [irq]) ?? []
    const [{ address, data } = { address: 0, data: 0 }] = messages
    expect(unit.hardware.interrupt(0x100, address, data)).toEqual(irq)
    expect(unit.hardware.interrupt(0x300, address, data)).toBe(null)
    expect(unit.hardware.faults[0]?.text).toBe('interrupt of another partitionable endpoint')
    unit.interrupts?.free(a, messages)
    expect(unit.hardware.interrupt(0x100, address, data)).toBe(null)
  })
})
