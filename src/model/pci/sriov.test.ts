import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { BareFunction } from '../hardware/bare-function.case.ts'
import { pciExpress, sriov } from '../hardware/capabilities.ts'
import { buildConfig } from '../hardware/config-build.ts'
import { configSpace, virtualFunctionConfig } from '../hardware/config-space.ts'
import type { Bar } from '../hardware/function.ts'
import type { Device } from '../driver-core/device.ts'
import { Scheduler, type Task } from '../task.ts'
import { disableSriov, enableSriov } from './sriov.ts'
import { bridge, endpoint, World } from './small-machine.case.ts'

const VF_BAR: Bar = { index: 0, size: 0x4000, kind: 'mem64', prefetchable: true }

function physical(offset = 0x80, stride = 2, total = 8): BareFunction {
  const description = { vendor: 0x8086, device: 0x10c9, classCode: 0x020000 }
  const bytes = buildConfig({
    ...description,
    capabilities: [pciExpress({ type: 0, flr: true })],
    extended: [sriov({ total, offset, stride, vfDevice: 0x10ca, bars: [VF_BAR] })],
  })
  const own = buildConfig({ ...description, capabilities: [pciExpress({ type: 0, flr: true })] })
  return new BareFunction(configSpace(bytes, [], [VF_BAR]), [], () => {
    return new BareFunction(virtualFunctionConfig(own), [VF_BAR])
  })
}

const PF = '0000:01:00.0'

/** A physical function below a root port with buses 1 to `last`; its driver makes what is asked for. */
function machine(fn: BareFunction, last = 3): World {
  const world = new World()
  const buses = { primary: 0, secondary: 1, subordinate: last }
  const port = world.plug(bridge(PCIE_TYPE.rootPort, { buses }), world.root, '01')
  world.plug(fn, world.below(port), '00')
  const pf = (device: Device): ReturnType<World['device']> => world.device(device.name)
  world.driver('igb', [[0x8086, 0x10c9]], {
    *sriovConfigure(device: Device, count: number): Task<void> {
      if (count === 0) yield* disableSriov(world.pci, pf(device))
      else yield* enableSriov(world.pci, pf(device), count)
    },
  })
  world.driver('igbvf', [[0x8086, 0x10ca]])
  world.scan()
  world.events.length = 0
  return world
}

describe('sriov_numvfs', () => {
  it('makes virtual functions: added, linked, bound, one after the other', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2\n')
    expect(world.events).toEqual([
      'add 0000:01:10.0',
      'change 0000:01:10.0',
      'bind 0000:01:10.0',
      'add 0000:01:10.2',
      'change 0000:01:10.2',
      'bind 0000:01:10.2',
      'change 0000:01:00.0',
    ])
    expect(world.read(PF, 'sriov_numvfs')).toBe('2\n')
    expect(world.link(PF, 'virtfn1')).toBe('../0000:01:10.2')
    expect(world.link('0000:01:10.2', 'physfn')).toBe('../0000:01:00.0')
    expect(world.read('0000:01:10.0', 'vendor')).toBe('0x8086\n')
    expect(world.read('0000:01:10.0', 'device')).toBe('0x10ca\n')
    expect(world.read('0000:01:10.0', 'config').slice(0, 4)).toBe('\xff\xff\xff\xff')
  })

  it('takes them away again with 0', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    world.events.length = 0
    world.write(PF, 'sriov_numvfs', '0')
    expect(world.events).toEqual([
      'unbind 0000:01:10.0',
      'remove 0000:01:10.0',
      'unbind 0000:01:10.2',
      'remove 0000:01:10.2',
    ])
    expect(world.exists(PF, 'virtfn0')).toBe(false)
    expect(world.read(PF, 'sriov_numvfs')).toBe('0\n')
  })

  it.each([
    ['nine', 'EINVAL'],
    ['65536', 'EINVAL'],
    ['9', 'ERANGE'],
    ['3', 'EBUSY'],
  ])('refuses %s', (text, code) => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    expect(() => world.write(PF, 'sriov_numvfs', text)).toThrow(code)
  })

  it('with the number there is does nothing', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '0x2')
    world.events.length = 0
    world.write(PF, 'sriov_numvfs', '2')
    expect(world.events).toEqual([])
  })

  it('needs a driver that is able to', () => {
    const world = machine(physical())
    world.writeFile('/bus/pci/drivers/igb/unbind', PF)
    expect(() => world.write(PF, 'sriov_numvfs', '1')).toThrow('ENOENT')
    expect(world.context.log.at(-1)).toBe(
      `pci ${PF}: no driver bound to device; cannot configure SR-IOV`,
    )
    world.driver('plain')
    world.write(PF, 'driver_override', 'plain')
    world.writeFile('/bus/pci/drivers_probe', PF)
    expect(() => world.write(PF, 'sriov_numvfs', '1')).toThrow('ENOENT')
    expect(world.context.log.at(-1)).toContain('driver does not support SR-IOV configuration')
  })

  it('uses bus numbers above the physical function, if the bridge has them', () => {
    const world = machine(physical(0x100, 0x100, 2))
    world.write(PF, 'sriov_numvfs', '2')
    expect(world.addresses.slice(2)).toEqual(['0000:02:00.0', '0000:03:00.0'])
    expect(world.device('0000:03:00.0').path).toBe('/devices/pci0000:00/0000:00:01.0/0000:03:00.0')
    expect(world.device('0000:03:00.0').pciBus.bridge).toBeNull()
    world.write(PF, 'sriov_numvfs', '0')
    expect([...world.pci.buses.keys()]).toEqual([0, 1])

    const narrow = machine(physical(0x100, 0x100, 2), 2)
    expect(() => narrow.write(PF, 'sriov_numvfs', '2')).toThrow('ENOMEM')
    expect(narrow.context.log.at(-1)).toContain(
      "can't enable 2 VFs (bus 03 out of range of [bus 01-02])",
    )
    narrow.write(PF, 'sriov_numvfs', '1')
  })

  it('is there only for physical functions that can', () => {
    const world = machine(physical())
    expect(world.exists('0000:00:01.0', 'sriov_numvfs')).toBe(false)
    const useless = machine(physical(0, 0, 4))
    expect(useless.exists(PF, 'sriov_totalvfs')).toBe(false)
  })
})

describe('the other files', () => {
  it('tell the capability', () => {
    const world = machine(physical())
    const files = ['sriov_totalvfs', 'sriov_offset', 'sriov_stride', 'sriov_vf_device']
    expect(files.map((file) => world.read(PF, file))).toEqual(['8\n', '128\n', '2\n', '10ca\n'])
  })

  it('keep virtual functions from drivers, except from the one of an override', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_drivers_autoprobe', '0')
    world.write(PF, 'sriov_numvfs', '1')
    expect(world.device('0000:01:10.0').driver).toBeNull()
    expect(() => world.writeFile('/bus/pci/drivers/igbvf/bind', '0000:01:10.0')).toThrow('ENODEV')
    world.write('0000:01:10.0', 'driver_override', 'igbvf')
    world.writeFile('/bus/pci/drivers/igbvf/bind', '0000:01:10.0')
    expect(world.device('0000:01:10.0').driver?.name).toBe('igbvf')
    expect(() => world.write(PF, 'sriov_drivers_autoprobe', 'maybe')).toThrow('EINVAL')
  })
})

describe('a virtual function', () => {
  it('cannot be removed or looked for by itself, and gone is gone', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    for (const file of ['remove', 'rescan']) {
      expect(world.exists('0000:01:10.0', file)).toBe(false)
      expect(world.exists(PF, file)).toBe(true)
    }
    world.write(PF, 'sriov_numvfs', '0')
    expect(world.exists('0000:01:10.0', '')).toBe(false)
    expect(world.exists('0000:01:10.2', '')).toBe(false)
    world.write(PF, 'sriov_numvfs', '1')
    expect(world.exists('0000:01:10.0', '')).toBe(true)
  })

  it('shows its share of the addresses of the physical function', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    const [all = ''] = world.read(PF, 'resource').split('\n').slice(7)
    const [second = ''] = world.read('0000:01:10.2', 'resource').split('\n')
    const start = parseInt(all.split(' ')[0] ?? '', 16)
    expect(parseInt(second.split(' ')[0] ?? '', 16)).toBe(start + VF_BAR.size)
    expect(parseInt(all.split(' ')[1] ?? '', 16)).toBe(start + 8 * VF_BAR.size - 1)
  })

  it('does not share addresses with other functions', () => {
    const small: Bar = { index: 0, size: 0x1000, kind: 'mem64', prefetchable: true }
    const world = new World()
    const pf = world.plug(physical(), world.root, '01')
    const other = world.plug(endpoint({ bars: [small] }), world.root, '02')
    world.scan()
    expect(other.config.read(0x10, 4) & ~0xf).toBe(
      (pf.config.read(0x124, 4) & ~0xf) + 8 * VF_BAR.size,
    )
  })

  it('is removed once, by whoever comes first', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    world.events.length = 0
    const scheduler = new Scheduler()
    const threads = [
      scheduler.start('disable', disableSriov(world.pci, world.device(PF)), () => undefined),
      scheduler.start(
        'remove',
        world.pci.removeTree(world.device('0000:01:10.0')),
        () => undefined,
      ),
    ]
    while (scheduler.threads.length > 0) {
      for (const thread of threads) if (scheduler.isReady(thread)) scheduler.advance(thread)
    }
    expect(world.events.filter((event) => event === 'remove 0000:01:10.0')).toHaveLength(1)
    expect(world.addresses).toEqual(['0000:00:01.0', PF])
  })

  it('goes with the bridge above it', () => {
    const world = machine(physical())
    world.write(PF, 'sriov_numvfs', '2')
    world.plug(endpoint(), world.root, '05')
    world.write('0000:00:01.0', 'remove', '1')
    expect(world.addresses).toEqual([])
  })
})
