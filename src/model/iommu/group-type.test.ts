import { describe, expect, it } from 'vitest'
import type { Driver } from '../driver-core/driver.ts'
import { Errno } from '../errno.ts'
import type { Credentials } from '../process.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import { runNow } from '../task.ts'
import { FakeUnit, testContext } from './fake-unit.case.ts'
import type { IommuGroup } from './group.ts'
import { showType, storeType } from './group-type.ts'
import { IommuCore } from './iommu-core.ts'
import { PciTree } from './pci-tree.case.ts'

const ROOT: Credentials = { uid: 0, capabilities: new Set(['CAP_SYS_ADMIN', 'CAP_SYS_RAWIO']) }

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0))
}

interface Host {
  readonly core: IommuCore
  readonly unit: FakeUnit
  readonly tree: PciTree
  readonly devices: readonly PciDevice[]
  readonly group: IommuGroup
  readonly log: readonly string[]
  /** Writes, and answers "errno" or what the file reads then. */
  readonly write: (text: string, who?: Credentials) => string
}

function host(release: string, members = 1, commandLine = ''): Host {
  const context = testContext(release, commandLine)
  const tree = new PciTree()
  const core = new IommuCore(context)
  const unit = new FakeUnit()
  const devices = Array.from({ length: members }, (_, n) =>
    tree.plug(`0000:00:1f.${String(n)}`, { type: null, multifunction: true }),
  )
  core.registerUnit(unit, [tree.bus])
  const group = core.groups.get(0)
  if (group === undefined) throw new Error('no group')
  const write = (text: string, who = ROOT): string => {
    try {
      runNow(storeType(core, group, bytesOf(text), who))
    } catch (error) {
      if (error instanceof Errno) return error.code
      throw error
    }
    return showType(group)
  }
  return { core, unit, tree, devices, group, log: context.log, write }
}

describe.each(['6.1.0', '6.12.0'])('writes to `type` on %s', (release) => {
  it('change the default domain of a group that is not in use', () => {
    const { group, unit, devices, write } = host(release)
    const before = group.defaultDomain
    expect(write('identity\n')).toBe('identity\n')
    expect(before).toMatchObject({ destroyed: true })
    expect([...unit.attached.values()]).toEqual([group.defaultDomain])
    expect(devices[0]?.iommuGroup?.domain).toBe(group.defaultDomain)
    expect(write('DMA')).toBe('DMA\n')
    expect(write('auto')).toBe('DMA-FQ\n')
  })

  it('need CAP_SYS_ADMIN and CAP_SYS_RAWIO, before anything else is looked at', () => {
    const { write } = host(release)
    for (const capability of ['CAP_SYS_ADMIN', 'CAP_SYS_RAWIO'] as const) {
      expect(write('nonsense', { uid: 0, capabilities: new Set([capability]) })).toBe('EACCES')
    }
  })

  it('take known words only', () => {
    const { write } = host(release)
    for (const text of ['', 'dma', ' DMA', 'DMA ', 'DMA\n\n', 'blocked', 'unmanaged']) {
      expect(write(text)).toBe('EINVAL')
    }
    expect(write('identity\0rest')).toBe('identity\n')
  })

  it('fail without a default domain', () => {
    const { group, write } = host(release)
    group.defaultDomain = null
    expect(write('DMA')).toBe('EINVAL')
  })

  it('make DMA lazy while a driver is using it, with the same tables', () => {
    const { core, group, devices, write } = host(release, 1, 'iommu.strict=1')
    const [device] = devices
    if (device === undefined) throw new Error('no device')
    core.useDefaultDomain(device)
    device.driver = { name: 'e1000e' } as Driver
    const before = group.defaultDomain
    expect(write('DMA-FQ')).toBe('DMA-FQ\n')
    expect(group.defaultDomain).toBe(before)
    expect(write('DMA')).toBe(release === '6.1.0' ? 'EBUSY' : 'EPERM')
  })

  it('cannot overrule what the device insists on', () => {
    const { unit, write } = host(release)
    unit.requiredDomainType = () => 'identity'
    expect(write('DMA')).toBe('EINVAL')
    expect(write('auto')).toBe('identity\n')
  })

  it('leave everything as it was when the device refuses the new domain', () => {
    const { group, unit, write } = host(release)
    const before = group.defaultDomain
    const made: unknown[] = []
    unit.refuses = (_device, domain) => {
      if (domain !== before) made.push(domain)
      return domain !== before
    }
    expect(write('DMA')).toBe('EINVAL')
    expect(group.defaultDomain).toBe(before)
    expect(group.domain).toBe(before)
    expect(before).toMatchObject({ destroyed: false })
    expect(made).toMatchObject([{ destroyed: true }])
  })
})

describe('writes to `type` since 6.4', () => {
  it('move all members of a group', () => {
    const { unit, group, write } = host('6.12.0', 2)
    expect(write('identity')).toBe('identity\n')
    expect([...unit.attached.values()]).toEqual([group.defaultDomain, group.defaultDomain])
  })

  it('are not permitted while drivers or a user have the group, or when it is empty', () => {
    const { core, tree, group, devices, write } = host('6.12.0', 2)
    const [device] = devices
    if (device === undefined) throw new Error('no device')
    core.useDefaultDomain(device)
    expect(write('identity')).toBe('EPERM')
    core.unuseDefaultDomain(device)
    core.claim(group, {})
    expect(write('identity')).toBe('EPERM')
    expect(showType(group)).toBe('DMA-FQ\n')
    core.release(group)
    core.hold(group)
    const domain = group.defaultDomain
    for (const each of devices) tree.remove(each)
    expect(write('identity')).toBe('EINVAL')
    group.defaultDomain = domain
    expect(write('identity')).toBe('EPERM')
  })

  it('make a new domain even of the same type', () => {
    const { group, write } = host('6.12.0')
    const before = group.defaultDomain
    expect(write('DMA-FQ')).toBe('DMA-FQ\n')
    expect(group.defaultDomain).not.toBe(before)
  })
})

describe('writes to `type` before 6.4', () => {
  it('are for groups of one device only', () => {
    const { log, write } = host('6.1.0', 2)
    expect(write('identity')).toBe('EINVAL')
    expect(log.at(-1)).toBe('iommu: Cannot change default domain: Group has more than one device')
  })

  it('complain about several devices rather than about a driver', () => {
    const { devices, write } = host('6.1.0', 2)
    for (const device of devices) device.driver = { name: 'e1000e' } as Driver
    expect(write('identity')).toBe('EINVAL')
  })

  it('change nothing when the type is what it was', () => {
    const { group, write } = host('6.1.0')
    const before = group.defaultDomain
    expect(write('DMA-FQ')).toBe('DMA-FQ\n')
    expect(group.defaultDomain).toBe(before)
    expect(before).toMatchObject({ destroyed: false })
  })

  it('find a bound driver of any kind busy', () => {
    const { devices, log, write } = host('6.1.0')
    for (const device of devices) device.driver = { name: 'pci-stub' } as Driver
    expect(write('identity')).toBe('EBUSY')
    expect(log.at(-1)).toBe('iommu: Device is still bound to driver')
  })

  it('find a group of a user busy though its device is unbound', () => {
    const { core, group, write } = host('6.1.0')
    core.claim(group, {})
    expect(write('identity')).toBe('EBUSY')
  })

  it('wait for whoever holds the device, and look again after that', () => {
    const { tree, core, group, devices } = host('6.1.0')
    const [device] = devices
    if (device === undefined) throw new Error('no device')
    device.lock.held = true
    const task = storeType(core, group, bytesOf('identity'), ROOT)
    expect(task.next().value?.at).toBe('lock 0000:00:1f.0')
    tree.add('0000:00:1f.7', { type: null, multifunction: true })
    device.lock.held = false
    expect(() => runNow(task)).toThrow('EINVAL')
    expect(device.lock.held).toBe(false)
  })
})
