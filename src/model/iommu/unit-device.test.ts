import { describe, expect, it } from 'vitest'
import type { Node } from '../sysfs/node.ts'
import { FakeUnit, testContext } from './fake-unit.case.ts'
import { PciTree } from './pci-tree.case.ts'
import { linkToUnit, type UnitDevice, unitDevice, unlinkFromUnit } from './unit-device.ts'

function find({ device }: UnitDevice, directory: string, name: string): Node | undefined {
  return device.directories.get(directory)?.().find(name)
}

function read(node: Node | undefined): string {
  return node?.kind === 'file' ? String(node.read?.({ uid: 0, capabilities: new Set() })) : ''
}

describe('unitDevice', () => {
  it('is a virtual device of class iommu on Intel, with the registers below intel-iommu', () => {
    const unit = unitDevice(testContext(), new FakeUnit('dmar0'), 0, [])
    expect([unit.device.path, unit.device.className]).toEqual([
      '/devices/virtual/iommu/dmar0',
      'iommu',
    ])
    expect(unit.device.registered).toBe(true)
    expect(unit.device.directories.get('intel-iommu')?.().list()).toEqual(['version', 'cap'])
    expect(read(find(unit, 'intel-iommu', 'cap'))).toBe('d2008c40660462\n')
    expect(find(unit, 'intel-iommu', 'toString')).toBeUndefined()
  })

  it('shows registers as they are when read', () => {
    const fake = new FakeUnit('dmar0')
    const unit = unitDevice(testContext(), fake, 0, [])
    fake.attributes = { domains_used: '7' }
    expect(read(find(unit, 'intel-iommu', 'domains_used'))).toBe('7\n')
  })

  it('is below the function that it is on AMD, unit by unit', () => {
    const tree = new PciTree()
    tree.plug('0000:00:00.2', { type: null, classCode: 0x080600 })
    tree.plug('0000:40:00.2', { type: null, classCode: 0x080600 })
    const second = unitDevice(testContext(), new FakeUnit('ivhd1', 'amd'), 1, [tree.bus])
    expect(second.device.path).toBe('/devices/pci0000:00/0000:40:00.2/iommu/ivhd1')
    expect(second.device.directories.has('amd-iommu')).toBe(true)
    const third = unitDevice(testContext(), new FakeUnit('ivhd2', 'amd'), 2, [tree.bus])
    expect(third.device.path).toBe('/devices/virtual/iommu/ivhd2')
  })

  it('lists what it covers, from both sides', () => {
    const unit = unitDevice(testContext(), new FakeUnit('dmar0'), 0, [])
    const device = new PciTree().plug('0000:00:02.0')
    linkToUnit(device, unit)
    const link = find(unit, 'devices', device.name)
    expect(link?.kind === 'link' && link.target()).toBe('../../../../pci0000:00/0000:00:02.0')
    expect(device.links.get('iommu')?.target()).toBe('../../virtual/iommu/dmar0')
    unlinkFromUnit(device, unit)
    expect(unit.device.directories.get('devices')?.().list()).toEqual([])
    expect(device.links.has('iommu')).toBe(false)
  })
})
