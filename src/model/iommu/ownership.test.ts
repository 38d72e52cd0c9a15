import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KernelContext } from '../context.ts'
import type { Driver } from '../driver-core/driver.ts'
import { Errno } from '../errno.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { FakeUnit, testContext } from './fake-unit.case.ts'
import type { IommuGroup } from './group.ts'
import { IommuCore } from './iommu-core.ts'
import { ownershipState, TRANSITIONS } from './ownership.ts'
import { PciTree, type Traits } from './pci-tree.case.ts'

interface Host {
  readonly context: KernelContext
  readonly tree: PciTree
  readonly unit: FakeUnit
  readonly core: IommuCore
  readonly group: IommuGroup
  readonly devices: readonly [PciDevice, PciDevice]
}

const CHIPSET: Traits = { type: null, multifunction: true }

/** A group of two functions. */
function host(release = '6.12.117', reserve = false): Host {
  const context = testContext(release)
  const tree = new PciTree()
  const unit = new FakeUnit()
  if (reserve) {
    unit.reserve('0000:00:1f.2', [{ firstPage: 0x100, lastPage: 0x1ff, kind: 'direct' }])
  }
  const core = new IommuCore(context)
  const devices = [tree.plug('0000:00:1f.0', CHIPSET), tree.plug('0000:00:1f.2', CHIPSET)] as const
  core.registerUnit(unit, [tree.bus])
  const group = devices[0].iommuGroup
  if (group === null) throw new Error('no group')
  return { context, tree, unit, core, group, devices }
}

function attempt(action: () => void): string {
  try {
    action()
    return 'ok'
  } catch (error) {
    if (error instanceof Errno) return error.code
    throw error
  }
}

function bind(device: PciDevice, driver: Partial<Driver>): void {
  device.driver = { name: 'e1000e', isVfio: false, managesDma: false, ...driver } as Driver
}

function domainsOf({ unit, devices }: Host): unknown[] {
  return devices.map((device) => unit.attached.get(device))
}

describe('DMA ownership since 5.19', () => {
  it('lets kernel drivers share a group, and counts them', () => {
    const { core, group, devices } = host()
    for (const device of devices) core.useDefaultDomain(device)
    expect([group.ownerCount, ownershipState(group)]).toEqual([2, 'kernel'])
    expect(core.isViable(group)).toBe(false)
    expect(attempt(() => core.claim(group, {}))).toBe('EPERM')
    for (const device of devices) core.unuseDefaultDomain(device)
    expect([group.ownerCount, ownershipState(group)]).toEqual([0, 'idle'])
    expect(core.isViable(group)).toBe(true)
  })

  it('blocks all DMA of a claimed group, and every kernel driver', () => {
    const machine = host()
    const { core, group, devices } = machine
    const owner = {}
    core.claim(group, owner)
    expect(domainsOf(machine)).toEqual([group.blockingDomain, group.blockingDomain])
    expect([group.owner, group.ownerCount]).toEqual([owner, 1])
    expect(attempt(() => core.useDefaultDomain(devices[1]))).toBe('EBUSY')
    expect(attempt(() => core.claim(group, owner))).toBe('EPERM')
    expect(core.isViable(group)).toBe(false)
  })

  it('goes blocked, user, blocked, default', () => {
    const machine = host()
    const { core, group, unit } = machine
    const { defaultDomain } = group
    const domain = unit.createDomain('unmanaged')
    core.claim(group, {})
    core.attachGroup(group, domain)
    expect(domainsOf(machine)).toEqual([domain, domain])
    expect(attempt(() => core.attachGroup(group, unit.createDomain('unmanaged')))).toBe('EBUSY')
    core.detachGroup(group)
    expect(domainsOf(machine)).toEqual([group.blockingDomain, group.blockingDomain])
    core.release(group)
    expect(domainsOf(machine)).toEqual([defaultDomain, defaultDomain])
    expect([group.owner, group.ownerCount]).toEqual([null, 0])
  })

  it('restores the default domain at release though a user domain is attached', () => {
    const machine = host()
    machine.core.claim(machine.group, {})
    machine.core.attachGroup(machine.group, machine.unit.createDomain('unmanaged'))
    machine.core.release(machine.group)
    expect(domainsOf(machine)).toEqual([machine.group.defaultDomain, machine.group.defaultDomain])
  })

  it('points merged groups at one domain', () => {
    const { tree, unit, core, group } = host()
    const other = tree.add('0000:00:02.0').iommuGroup
    if (other === null) throw new Error('no group')
    const domain = unit.createDomain('unmanaged')
    for (const each of [group, other]) {
      core.claim(each, {})
      core.attachGroup(each, domain)
    }
    expect(new Set(unit.attached.values())).toEqual(new Set([domain]))
    core.detachGroup(other)
    expect([group.domain, other.domain]).toEqual([domain, other.blockingDomain])
  })

  it('refuses a claim while kernel code has attached a domain of its own, and drivers beside it', () => {
    const { core, group, unit, devices } = host()
    core.useDefaultDomain(devices[0])
    core.attachGroup(group, unit.createDomain('unmanaged'))
    expect(attempt(() => core.useDefaultDomain(devices[1]))).toBe('EBUSY')
    core.unuseDefaultDomain(devices[0])
    expect(attempt(() => core.claim(group, {}))).toBe('EBUSY')
  })

  it('moves nobody when one member cannot move', () => {
    const machine = host()
    const { core, group, unit, devices } = machine
    core.claim(group, {})
    const before = domainsOf(machine)
    const domain = unit.createDomain('unmanaged')
    unit.refuses = (device, to) => device === devices[1] && to === domain
    expect(attempt(() => core.attachGroup(group, domain))).toBe('EINVAL')
    expect(domainsOf(machine)).toEqual(before)
    expect(group.domain).toBe(group.blockingDomain)
  })

  it('cuts off whoever cannot go back', () => {
    const machine = host()
    const { core, group, unit, devices } = machine
    core.claim(group, {})
    core.attachGroup(group, unit.createDomain('unmanaged'))
    unit.refuses = (device, to) => device === devices[0] && to === group.defaultDomain
    core.release(group)
    expect(domainsOf(machine)).toEqual([group.blockingDomain, group.defaultDomain])
  })

  it('refuses to block a device with memory that firmware uses, since 6.6', () => {
    const machine = host('6.12.0', true)
    expect(attempt(() => machine.core.claim(machine.group, {}))).toBe('EINVAL')
    expect(ownershipState(machine.group)).toBe('idle')
    expect(machine.group.domain).toBe(machine.group.defaultDomain)
    expect(domainsOf(machine)).toEqual([machine.group.defaultDomain, machine.group.defaultDomain])
    expect(machine.context.log.at(-1)).toMatch(
      /^pci 0000:00:1f\.2: Firmware has requested this device have a 1:1 IOMMU mapping/,
    )
    const older = host('6.1.0', true)
    expect(attempt(() => older.core.claim(older.group, {}))).toBe('ok')
  })

  it('takes a bind or unbind without a group for nothing', () => {
    const { core, tree, unit } = host()
    unit.covers = () => false
    const device = tree.add('0000:00:05.0')
    core.useDefaultDomain(device)
    core.unuseDefaultDomain(device)
    expect(device.iommuGroup).toBeNull()
  })

  it('never has a user and kernel drivers, whatever comes in whatever order', () => {
    const requests = ['driver binds', 'driver unbinds', 'claim', 'release'] as const
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...requests)), (list) => {
        const { core, group, devices } = host()
        let drivers = 0
        let user = false
        const actions = {
          'driver binds': () => core.useDefaultDomain(devices[0]),
          'driver unbinds': () => core.unuseDefaultDomain(devices[0]),
          claim: () => core.claim(group, {}),
          release: () => core.release(group),
        }
        for (const request of list) {
          const expected = TRANSITIONS[ownershipState(group)][request]
          if (expected === null) continue
          expect(attempt(actions[request])).toBe(expected)
          if (expected !== 'ok') continue
          if (request === 'driver binds') drivers += 1
          if (request === 'driver unbinds') drivers -= 1
          if (request === 'claim') user = true
          if (request === 'release') user = false
          expect(user && drivers > 0).toBe(false)
          expect(group.ownerCount).toBe(user ? 1 : drivers)
          expect(group.domain === group.defaultDomain).toBe(!user)
        }
      }),
    )
  })
})

describe('before 5.19', () => {
  it('finds a group viable when every member is free, on vfio or pci-stub, or a bridge', () => {
    const { core, group, devices } = host('5.10.0')
    expect(core.isViable(group)).toBe(true)
    bind(devices[0], { name: 'vfio-pci', isVfio: true })
    bind(devices[1], { name: 'pci-stub' })
    expect(core.isViable(group)).toBe(true)
    bind(devices[1], { name: 'e1000e' })
    expect(core.isViable(group)).toBe(false)
  })

  it('does not mind what drives a bridge, which 5.19 does for shpchp', () => {
    for (const [release, viable] of [
      ['5.18.0', true],
      ['5.19.0', false],
    ] as const) {
      const { tree, core } = host(release)
      const bridge = tree.add('0000:00:1e.0', { type: null, classCode: 0x060400 })
      const group = bridge.iommuGroup
      if (group === null) throw new Error('no group')
      core.useDefaultDomain(bridge)
      bind(bridge, { name: 'shpchp' })
      expect(core.isViable(group)).toBe(viable)
    }
  })

  it('claims without asking, and lets kernel drivers in', () => {
    const { core, group, devices } = host('5.10.0')
    core.claim(group, {})
    expect(group.domain).toBe(group.defaultDomain)
    expect(attempt(() => core.useDefaultDomain(devices[0]))).toBe('ok')
    core.attachGroup(group, new FakeUnit().createDomain('unmanaged'))
    core.detachGroup(group)
    expect(group.domain).toBe(group.defaultDomain)
  })

  it('stops the kernel when a kernel driver has bound in a group in use', () => {
    const { context, tree, core, group, devices } = host('5.10.0')
    bind(devices[0], {})
    tree.bus.notify('bound-driver', devices[0])
    expect(core.crashed).toBe(false)
    core.claim(group, {})
    bind(devices[1], { name: 'pci-stub' })
    tree.bus.notify('bound-driver', devices[1])
    expect(core.crashed).toBe(false)
    tree.bus.notify('bound-driver', devices[0])
    expect(core.crashed).toBe(true)
    expect(context.log.at(-1)).toMatch(/^kernel BUG/)
    const later = host('5.19.0')
    later.core.claim(later.group, {})
    bind(later.devices[0], {})
    later.tree.bus.notify('bound-driver', later.devices[0])
    expect(later.core.crashed).toBe(false)
  })

  it('only warns of a device added to a group in use', () => {
    const { context, tree, core, group } = host('5.10.0')
    tree.add('0000:00:1f.4', CHIPSET)
    expect(context.log.filter((line) => line.includes('live group'))).toEqual([])
    core.claim(group, {})
    tree.add('0000:00:1f.5', CHIPSET)
    expect(context.log.at(-1)).toBe('pci 0000:00:1f.5: Device added to live group 0!')
  })
})
