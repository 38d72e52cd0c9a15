import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { Errno } from '../errno.ts'
import { Scheduler, type Task, wait } from '../task.ts'
import type { BareFunction } from '../hardware/bare-function.case.ts'
import { bridge, endpoint, MEMORY_BAR, World } from './small-machine.case.ts'

const { rootPort, upstreamPort, downstreamPort } = PCIE_TYPE

/** A root port with two functions below it. */
function dual(release?: string, dma?: { refuse: boolean }): { world: World; port: BareFunction } {
  const ownership = {
    useDefaultDomain: () => {
      if (dma?.refuse === true) throw new Errno('EBUSY', 'owned')
    },
    unuseDefaultDomain: () => undefined,
  }
  const world = new World({ dma: ownership }, release)
  const buses = { primary: 0, secondary: 1, subordinate: 4 }
  const port = world.plug(bridge(rootPort, { buses, hotPlug: true }), world.root, '01')
  world.plug(endpoint({ multifunction: true, bars: [MEMORY_BAR] }), world.below(port), '00.0')
  world.plug(endpoint(), world.below(port), '00.1')
  return { world, port }
}

describe('remove and rescan', () => {
  it('take a function out and find it again, with its driver', () => {
    const { world } = dual()
    world.driver('e1000e', [[0x8086, 0x10d3]])
    world.scan()
    world.events.length = 0
    world.write('0000:01:00.1', 'remove', '1\n')
    expect(world.events).toEqual(['unbind 0000:01:00.1', 'remove 0000:01:00.1'])
    expect(world.exists('0000:01:00.1', '')).toBe(false)
    world.write('0000:01:00.0', 'rescan', '1')
    expect(world.events.slice(2)).toEqual(['add 0000:01:00.1', 'bind 0000:01:00.1'])
  })

  it('of a bridge take everything below it, drivers first', () => {
    const { world } = dual()
    world.driver('e1000e', [[0x8086, 0x10d3]])
    world.scan()
    world.events.length = 0
    world.write('0000:00:01.0', 'remove', '1')
    expect(world.events).toEqual([
      'unbind 0000:01:00.1',
      'unbind 0000:01:00.0',
      'remove 0000:01:00.0',
      'remove 0000:01:00.1',
      'remove 0000:01',
      'remove 0000:00:01.0',
    ])
    world.writeFile('/bus/pci/rescan', '1')
    expect(world.addresses).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:01:00.1'])
  })

  it('take numbers: 0 does nothing, no number is an error', () => {
    const { world } = dual()
    world.scan()
    for (const text of ['0', '0x0', '00\n']) world.write('0000:01:00.0', 'remove', text)
    expect(world.addresses).toHaveLength(3)
    for (const text of ['', 'x', '08', '1 1', '-1']) {
      if (text === '') continue
      expect(() => world.write('0000:01:00.0', 'remove', text)).toThrow('EINVAL')
      expect(() => world.write('0000:01:00.0', 'rescan', text)).toThrow('EINVAL')
    }
    world.write('0000:01:00.0', 'remove', '0x10')
    expect(world.addresses).toHaveLength(2)
  })

  it('wait for a driver that waits for its users, and all other hot-plugging waits too', () => {
    const { world } = dual()
    let inUse = true
    world.driver('vfio-pci', [[0x8086, 0x10d3]], {
      *remove(): Task<void> {
        yield* wait('users', () => !inUse)
      },
    })
    world.scan()
    const scheduler = new Scheduler()
    const done: string[] = []
    const start = (name: string, task: Task<void>): void => {
      scheduler.start(name, task, () => done.push(name))
    }
    start('remove', world.pci.removeTree(world.device('0000:01:00.0')))
    scheduler.settle()
    start('rescan', world.pci.rescanBus(world.pci.rootBuses[0] ?? fail()))
    scheduler.settle()
    expect(done).toEqual([])
    inUse = false
    scheduler.settle()
    expect(done).toEqual(['remove', 'rescan'])
    expect(world.addresses).toContain('0000:01:00.0')
  })

  it('of one function by two writers do it once', () => {
    const { world } = dual()
    world.scan()
    const scheduler = new Scheduler()
    const device = world.device('0000:01:00.0')
    for (const name of ['a', 'b']) {
      scheduler.start(name, world.pci.removeTree(device), () => undefined)
    }
    scheduler.settle()
    expect(world.events.filter((event) => event === 'remove 0000:01:00.0')).toHaveLength(1)
    expect(scheduler.threads).toEqual([])
  })
})

function fail(): never {
  throw new Error('unreachable')
}

describe('a driver that may not have the device', () => {
  it.each([
    ['6.12.117', ['pci 0000:01:00.1: device attach failed (-16)']],
    ['6.17.1', []],
  ])('is refused on %s, and the log says so up to 6.16', (release, lines) => {
    const dma = { refuse: false }
    const { world } = dual(release, dma)
    world.driver('e1000e', [[0x8086, 0x10d3]])
    world.scan()
    world.write('0000:01:00.1', 'remove', '1')
    dma.refuse = true
    world.write('0000:01:00.0', 'rescan', '1')
    expect(world.device('0000:01:00.1').driver).toBeNull()
    expect(world.context.log.filter((line) => line.includes('attach failed'))).toEqual(lines)
  })
})

describe('drivers_autoprobe', () => {
  it.each([
    ['6.12.117', 'e1000e'],
    ['6.19.0', undefined],
  ])('of the bus is looked at from 6.19 on (%s)', (release, driver) => {
    const { world } = dual(release)
    world.driver('e1000e', [[0x8086, 0x10d3]])
    world.scan()
    world.writeFile('/bus/pci/drivers_autoprobe', '0')
    world.write('0000:01:00.1', 'remove', '1')
    world.write('0000:01:00.0', 'rescan', '1')
    expect(world.device('0000:01:00.1').driver?.name).toBe(driver)
  })
})

describe('a hot-plug slot', () => {
  it('gets numbers and addresses for what is plugged into it', () => {
    const { world, port } = dual()
    world.scan()
    const bus = world.device('0000:00:01.0').subordinate ?? fail()
    world.run(world.pci.hotUnplugged(world.device('0000:01:00.1')))
    for (const fn of [...world.below(port).functions.values()]) world.slots.unplug(fn)
    expect(world.addresses).toEqual(['0000:00:01.0'])

    const upstream = world.plug(bridge(upstreamPort), world.below(port), '00')
    const downstream = world.plug(bridge(downstreamPort), world.below(upstream), '02')
    const fn = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.below(downstream), '00')
    world.events.length = 0
    world.run(world.pci.hotPlugged(bus))
    expect(world.addresses).toEqual([
      '0000:00:01.0',
      '0000:01:00.0',
      '0000:02:02.0',
      '0000:03:00.0',
    ])
    expect(world.events).toEqual([
      'add 0000:01:00.0',
      'add 0000:02',
      'add 0000:02:02.0',
      'add 0000:03',
      'add 0000:03:00.0',
    ])
    expect(fn.config.read(0x10, 4)).toBeGreaterThanOrEqual(0xc0000000)
    expect(upstream.config.read(0x1a, 1)).toBe(3)
  })

  it('without numbers left leaves the bridge alone', () => {
    const world = new World()
    const buses = { primary: 0, secondary: 1, subordinate: 1 }
    const port = world.plug(bridge(rootPort, { buses, hotPlug: true }), world.root, '01')
    world.scan()
    const upstream = world.plug(bridge(upstreamPort), world.below(port), '00')
    world.plug(bridge(downstreamPort), world.below(upstream), '00')
    world.run(world.pci.hotPlugged(world.device('0000:00:01.0').subordinate ?? fail()))
    expect(world.addresses).toEqual(['0000:00:01.0', '0000:01:00.0'])
    expect(world.context.log.at(-1)).toContain('No bus number available for hot-added bridge')
  })

  it('is emptied of the whole device, last function first, and DMA ends', () => {
    const { world, port } = dual()
    world.scan()
    const first = world.below(port).functions.get(0)
    first?.config.write(0x04, 2, 0x0006)
    world.events.length = 0
    world.run(world.pci.hotUnplugged(world.device('0000:01:00.0')))
    expect(world.events).toEqual(['remove 0000:01:00.1', 'remove 0000:01:00.0'])
    expect(first?.config.read(0x04, 2)).toBe(0x0402)
  })

  it('on a bus with other slots is emptied alone', () => {
    const world = new World()
    world.plug(endpoint(), world.root, '01')
    world.plug(endpoint({ multifunction: true }), world.root, '02.0')
    world.plug(endpoint(), world.root, '02.3')
    world.scan()
    world.run(world.pci.hotUnplugged(world.device('0000:00:02.0')))
    expect(world.addresses).toEqual(['0000:00:01.0'])
  })
})
