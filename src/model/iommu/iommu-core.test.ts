import { describe, expect, it } from 'vitest'
import type { KernelContext } from '../context.ts'
import type { Directory, Node } from '../sysfs/node.ts'
import { FakeUnit, testContext } from './fake-unit.case.ts'
import { IommuCore } from './iommu-core.ts'
import { PciTree } from './pci-tree.case.ts'

interface Host {
  readonly context: KernelContext
  readonly tree: PciTree
  readonly unit: FakeUnit
  readonly core: IommuCore
}

function host(release = '6.12.117', commandLine = ''): Host {
  const context = testContext(release, commandLine)
  return {
    context,
    tree: new PciTree(),
    unit: new FakeUnit(),
    core: new IommuCore(context),
  }
}

function at(root: Directory, path: string): Node | undefined {
  let node: Node | undefined = root
  for (const part of path.split('/')) {
    node = node?.kind === 'directory' ? node.find(part) : undefined
  }
  return node
}

function text(root: Directory, path: string): string {
  const node = at(root, path)
  if (node?.kind === 'link') return node.target()
  if (node?.kind !== 'file') throw new Error(`no file ${path}`)
  return String(node.read?.({ uid: 0, capabilities: new Set() }))
}

describe('groups at boot', () => {
  it('numbers devices in the order of units, then of registration', () => {
    const { context, tree, core } = host()
    for (const name of ['0000:00:01.0', '0000:00:02.0', '0000:00:03.0']) tree.plug(name)
    const graphics = new FakeUnit('dmar0')
    graphics.covers = (device) => device.name === '0000:00:02.0'
    core.registerUnit(graphics, [tree.bus])
    core.registerUnit(new FakeUnit('dmar1'), [tree.bus])
    expect(context.log.slice(2)).toEqual([
      'pci 0000:00:02.0: Adding to iommu group 0',
      'pci 0000:00:01.0: Adding to iommu group 1',
      'pci 0000:00:03.0: Adding to iommu group 2',
    ])
  })

  it('attaches every device to the default domain of its group', () => {
    const { tree, unit, core } = host()
    const [one, two] = [tree.plug('0000:00:01.0'), tree.plug('0000:00:02.0')]
    core.registerUnit(unit, [tree.bus])
    expect(unit.attached.get(one)).toBe(one.iommuGroup?.defaultDomain)
    expect(one.iommuGroup?.domain).toBe(one.iommuGroup?.defaultDomain)
    expect(two.iommuGroup?.domain).not.toBe(one.iommuGroup?.domain)
    expect(one.iommuGroup?.domain?.type).toBe('DMA-FQ')
  })

  it('chooses the type of a group after looking at all members', () => {
    const { tree, unit, core } = host()
    const functions = [0, 1].map((n) =>
      tree.plug(`0000:00:01.${String(n)}`, { type: null, multifunction: true }),
    )
    unit.requiredDomainType = (device) => (device === functions[1] ? 'identity' : null)
    core.registerUnit(unit, [tree.bus])
    expect(functions[0]?.iommuGroup?.defaultDomain?.type).toBe('identity')
  })

  it('lets identity win when a driver contradicts itself within a group', () => {
    const { context, tree, unit, core } = host()
    const functions = [0, 1].map((n) =>
      tree.plug(`0000:00:01.${String(n)}`, { type: null, multifunction: true }),
    )
    unit.requiredDomainType = (device) => (device === functions[1] ? 'identity' : 'DMA')
    core.registerUnit(unit, [tree.bus])
    expect(functions[0]?.iommuGroup?.defaultDomain?.type).toBe('identity')
    expect(context.log.join('\n')).toContain('conflicting def_domain_type, DMA and identity')
  })

  it('maps memory of firmware 1:1 before the device is attached, whatever overlaps', () => {
    const { tree, unit, core } = host()
    unit.reserve('0000:00:02.0', [
      { firstPage: 0x100, lastPage: 0x103, kind: 'direct' },
      { firstPage: 0x102, lastPage: 0x105, kind: 'direct-relaxable' },
      { firstPage: 0x200, lastPage: 0x200, kind: 'reserved' },
    ])
    const device = tree.plug('0000:00:02.0')
    core.registerUnit(unit, [tree.bus])
    const domain = device.iommuGroup?.defaultDomain
    expect([0xff, 0x100, 0x105, 0x106, 0x200].map((page) => domain?.physicalPage(page))).toEqual([
      -1, 0x100, 0x105, -1, -1,
    ])
  })

  it('gives no groups where a unit only translates', () => {
    const { context, tree, unit, core } = host()
    unit.isolates = false
    const device = tree.plug('0000:00:01.0')
    core.registerUnit(unit, [tree.bus])
    expect(core.groups.size).toBe(0)
    expect(device.iommuGroup).toBeNull()
    expect([...device.links.keys()]).toEqual([])
    expect([...context.devices.ofClass('iommu').keys()]).toEqual([])
    const proper = new FakeUnit('dmar0')
    core.registerUnit(proper, [tree.bus])
    expect(core.unitOf(device)).toBe(proper)
  })

  it('leaves out functions that no unit covers', () => {
    const { tree, core } = host()
    const iommu = tree.plug('0000:00:00.2', { type: null, classCode: 0x080600 })
    const unit = new FakeUnit('ivhd0', 'amd')
    unit.covers = (device) => device !== iommu
    core.registerUnit(unit, [tree.bus])
    expect(iommu.iommuGroup).toBeNull()
    expect(iommu.links.has('iommu')).toBe(false)
  })

  it('takes the group a unit names, and its name', () => {
    const { tree, core } = host()
    const unit = new FakeUnit('phb0', 'power')
    unit.groupName = () => 'domain0-pe1'
    unit.groupOf = () => core.groups.get(0) ?? 'new'
    tree.plug('0000:00:01.0')
    tree.plug('0000:00:02.0')
    core.registerUnit(unit, [tree.bus])
    expect(core.groups.get(0)?.members.map(({ name }) => name)).toEqual([
      '0000:00:01.0',
      '0000:00:02.0',
    ])
    expect(text(core.groupsDirectory(), '0/name')).toBe('domain0-pe1\n')
  })
})

describe('groups while devices come and go', () => {
  it('groups on the add-device event, before anybody else hears of the device', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    let seen: unknown
    tree.bus.registerNotifier((event, device) => {
      if (event === 'add-device') seen = device.iommuGroup?.id
    })
    tree.add('0000:01:00.0')
    expect(seen).toBe(0)
  })

  it('frees a number with the last member, and reuses the lowest', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const zero = tree.add('0000:00:01.0')
    const one = tree.add('0000:00:02.0')
    tree.add('0000:00:03.0')
    tree.remove(one)
    tree.remove(zero)
    expect([...core.groups.keys()]).toEqual([2])
    expect(zero.iommuGroup).toBeNull()
    expect([...zero.links.keys()]).toEqual([])
    expect(unit.attached.has(zero)).toBe(false)
    expect(['4', '5', '6'].map((n) => tree.add(`0000:00:0${n}.0`).iommuGroup?.id)).toEqual([
      0, 1, 3,
    ])
  })

  it('keeps the number while somebody else holds the group', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const device = tree.add('0000:00:01.0')
    const group = device.iommuGroup
    if (group === null) throw new Error('no group')
    core.hold(group)
    tree.remove(device)
    expect(group.defaultDomain).toBeNull()
    expect(text(core.groupsDirectory(), '0/type')).toBe('unknown\n')
    expect(tree.add('0000:00:02.0').iommuGroup?.id).toBe(1)
    core.drop(group)
    expect(core.groups.has(0)).toBe(false)
    expect(tree.add('0000:00:03.0').iommuGroup?.id).toBe(0)
  })

  it('frees the tables of an empty group', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const device = tree.add('0000:00:01.0')
    const domain = device.iommuGroup?.defaultDomain
    tree.remove(device)
    expect(domain).toMatchObject({ destroyed: true })
  })

  it('maps memory of firmware for a newcomer too', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const chipset = { type: null, multifunction: true }
    const group = tree.add('0000:00:1f.0', chipset).iommuGroup
    unit.reserve('0000:00:1f.3', [{ firstPage: 0x100, lastPage: 0x100, kind: 'direct' }])
    tree.add('0000:00:1f.3', chipset)
    expect(group?.defaultDomain?.physicalPage(0x100)).toBe(0x100)
  })

  it('puts a newcomer into the domain the group is in now', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const chipset = { type: null, multifunction: true }
    const group = tree.add('0000:00:1f.0', chipset).iommuGroup
    if (group === null) throw new Error('no group')
    core.claim(group, {})
    const late = tree.add('0000:00:1f.3', chipset)
    expect(late.iommuGroup).toBe(group)
    expect(unit.attached.get(late)).toBe(group.blockingDomain)
    const domain = unit.createDomain('unmanaged')
    core.attachGroup(group, domain)
    expect(unit.attached.get(tree.add('0000:00:1f.4', chipset))).toBe(domain)
  })

  it('leaves a device without a group when it cannot be attached', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const device = tree.plug('0000:00:01.0')
    unit.refuses = () => true
    tree.bus.notify('add-device', device)
    expect(device.iommuGroup).toBeNull()
    expect(core.groups.size).toBe(0)
    expect(core.unitOf(device)).toBeUndefined()
  })

  it('logs a departure in 6.1, and not in 6.12', () => {
    for (const [release, expected] of [
      ['6.1.0', ['pci 0000:00:01.0: Removing from iommu group 0']],
      ['6.12.0', []],
    ] as const) {
      const { context, tree, unit, core } = host(release)
      core.registerUnit(unit, [tree.bus])
      tree.remove(tree.add('0000:00:01.0'))
      expect(context.log.filter((line) => line.includes('Removing'))).toEqual(expected)
    }
  })
})

describe('files and links', () => {
  it('shows members, reserved regions and type of a group', () => {
    const { tree, unit, core } = host()
    const port = tree.plug('0000:00:01.0', { type: 4 })
    tree.plug('0000:01:00.0', { below: port })
    unit.reserve('0000:01:00.0', [{ firstPage: 0x7a000, lastPage: 0x7a0ff, kind: 'direct' }])
    core.registerUnit(unit, [tree.bus])
    const root = core.groupsDirectory()
    expect(root.list()).toEqual(['0'])
    expect(root.find('00')).toBeUndefined()
    expect(root.find('1')).toBeUndefined()
    expect((at(root, '0') as Directory).list()).toEqual(['devices', 'reserved_regions', 'type'])
    expect(text(root, '0/devices/0000:01:00.0')).toBe(
      '../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0',
    )
    expect(text(root, '0/reserved_regions')).toBe(
      '0x000000007a000000 0x000000007a0fffff direct\n0x00000000fee00000 0x00000000feefffff msi\n',
    )
    expect(text(root, '0/type')).toBe('DMA-FQ\n')
  })

  it('links device, group and unit to each other', () => {
    const { tree, unit, core } = host()
    const device = tree.plug('0000:00:01.0')
    core.registerUnit(unit, [tree.bus])
    expect(device.links.get('iommu_group')?.target()).toBe('../../../kernel/iommu_groups/0')
    expect(device.links.get('iommu')?.target()).toBe('../../virtual/iommu/dmar0')
  })

  it('tells equal names apart', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const chipset = { type: null, multifunction: true }
    const group = tree.add('0000:00:1f.0', chipset).iommuGroup
    for (let n = 0; n < 2; n += 1) group?.join(tree.plug('0000:00:1f.0', chipset))
    expect(group?.members.map(({ name }) => name)).toEqual([
      '0000:00:1f.0',
      '0000:00:1f.0.0',
      '0000:00:1f.0.1',
    ])
  })

  it('frees the name of a member that left', () => {
    const { tree, unit, core } = host()
    core.registerUnit(unit, [tree.bus])
    const chipset = { type: null, multifunction: true }
    const group = tree.add('0000:00:1f.0', chipset).iommuGroup
    tree.remove(tree.add('0000:00:1f.3', chipset))
    expect(group?.memberNamed('0000:00:1f.3')).toBeUndefined()
    tree.add('0000:00:1f.3', chipset)
    expect(group?.members.map(({ name }) => name)).toEqual(['0000:00:1f.0', '0000:00:1f.3'])
  })
})

describe('default type', () => {
  it('gives up lazy flushing on a unit with caching mode, which only virtual machines have', () => {
    const { context, tree, unit, core } = host()
    unit.attributes = { cap: (0xd2008c40660462n | 0x80n).toString(16) }
    const device = tree.plug('0000:00:01.0')
    core.registerUnit(unit, [tree.bus])
    expect(device.iommuGroup?.defaultDomain?.type).toBe('DMA')
    expect(context.log).toContain('DMAR: IOMMU batching disallowed due to virtualization')
  })
})

describe('isolatedMsi', () => {
  it('asks each device since 6.2, and the machine before', () => {
    for (const [release, expected] of [
      ['6.12.0', [true, false]],
      ['6.1.0', [true, true]],
    ] as const) {
      const { tree, core } = host(release)
      const [one, two] = [tree.plug('0000:00:01.0'), tree.plug('0000:00:02.0')]
      const remapping = new FakeUnit('dmar0')
      remapping.covers = (device) => device === one
      const plain = new FakeUnit('dmar1')
      plain.isolatesInterrupts = false
      core.registerUnit(remapping, [tree.bus])
      core.registerUnit(plain, [tree.bus])
      const groups = [one, two].map(({ iommuGroup }) => iommuGroup)
      expect(groups.map((group) => group && core.isolatedMsi(group))).toEqual(expected)
    }
  })
})
