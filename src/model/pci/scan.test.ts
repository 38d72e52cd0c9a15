import { describe, expect, it } from 'vitest'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { BusEvent } from '../driver-core/bus.ts'
import { ari } from '../hardware/capabilities.ts'
import { bridge, endpoint, MEMORY_BAR, World } from './small-machine.case.ts'

const { rootPort, upstreamPort, downstreamPort, pcieToPciBridge } = PCIE_TYPE

function numbered(type: number | null, primary: number, secondary: number, subordinate: number) {
  return bridge(type, { buses: { primary, secondary, subordinate } })
}

describe('scanning', () => {
  it('finds a bus by slots, then what is behind its bridges, depth first', () => {
    const world = new World()
    const a = world.plug(numbered(rootPort, 0, 1, 3), world.root, '01')
    const b = world.plug(numbered(rootPort, 0, 4, 4), world.root, '02')
    world.plug(endpoint(), world.root, '1f')
    const upstream = world.plug(numbered(upstreamPort, 1, 2, 3), world.below(a), '00')
    const downstream = world.plug(numbered(downstreamPort, 2, 3, 3), world.below(upstream), '04')
    world.plug(endpoint(), world.below(downstream), '00')
    world.plug(endpoint(), world.below(b), '00')
    world.scan()
    expect(world.addresses).toEqual([
      '0000:00:01.0',
      '0000:00:02.0',
      '0000:00:1f.0',
      '0000:01:00.0',
      '0000:02:04.0',
      '0000:03:00.0',
      '0000:04:00.0',
    ])
    expect(world.files.link('/bus/pci/devices/0000:03:00.0')).toBe(
      '../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/0000:02:04.0/0000:03:00.0',
    )
    expect(world.read('0000:00:01.0', 'secondary_bus_number')).toBe('1\n')
  })

  it('looks at further functions of a slot only if the one before says that there are more', () => {
    const world = new World()
    world.plug(endpoint({ multifunction: true }), world.root, '01.0')
    world.plug(endpoint(), world.root, '01.2')
    world.plug(endpoint(), world.root, '01.5')
    world.plug(endpoint(), world.root, '02.0')
    world.plug(endpoint(), world.root, '02.1')
    world.plug(endpoint({ multifunction: true }), world.root, '03.1')
    world.scan()
    expect(world.addresses).toEqual([
      '0000:00:01.0',
      '0000:00:01.2',
      '0000:00:01.5',
      '0000:00:02.0',
    ])
  })

  it('sets the multifunction flag of functions above 0 only after notifiers have seen them', () => {
    const world = new World()
    const seen: [string, boolean][] = []
    world.pci.bus.registerNotifier((event: BusEvent, device) => {
      if (event === 'add-device') seen.push([device.name, world.device(device.name).multifunction])
    })
    world.plug(endpoint({ multifunction: true }), world.root, '01.0')
    world.plug(endpoint(), world.root, '01.1')
    world.scan()
    expect(seen).toEqual([
      ['0000:00:01.0', true],
      ['0000:00:01.1', false],
    ])
    expect(world.device('0000:00:01.1').multifunction).toBe(true)
  })

  it('finds only device 0 on a link, but every slot behind other bridges', () => {
    const world = new World()
    const port = world.plug(numbered(rootPort, 0, 1, 2), world.root, '01')
    const toPci = world.plug(numbered(pcieToPciBridge, 1, 2, 2), world.below(port), '00')
    world.plug(endpoint(), world.below(port), '05')
    world.plug(endpoint({ type: null }), world.below(toPci), '05')
    world.scan()
    expect(world.addresses).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:02:05.0'])
  })

  it('follows the chain of an ARI device below a port that forwards it', () => {
    const world = new World()
    const port = world.plug(
      bridge(rootPort, {
        buses: { primary: 0, secondary: 1, subordinate: 1 },
        ariForwarding: true,
      }),
      world.root,
      '01',
    )
    world.plug(endpoint({ extended: [ari(9)] }), world.below(port), '00')
    world.slots.plug(endpoint({ extended: [ari()] }), world.below(port), 9)
    world.scan()
    expect(world.addresses).toEqual(['0000:00:01.0', '0000:01:00.0', '0000:01:01.1'])
    expect(world.read('0000:01:00.0', 'ari_enabled')).toBe('1\n')
    expect(world.read('0000:00:01.0', 'ari_enabled')).toBe('0\n')
  })

  it('takes impossible stacks of switch ports for endpoints, as the kernel does by mistake', () => {
    const world = new World()
    const port = world.plug(numbered(rootPort, 0, 1, 5), world.root, '01')
    const odd = world.plug(numbered(downstreamPort, 1, 2, 5), world.below(port), '00')
    const first = world.plug(numbered(upstreamPort, 2, 3, 5), world.below(odd), '00')
    const second = world.plug(numbered(upstreamPort, 3, 4, 4), world.below(first), '00')
    world.plug(numbered(downstreamPort, 4, 5, 5), world.below(second), '00')
    world.scan()
    const types = world.addresses.map((address) => world.device(address).pcieType)
    expect(types).toEqual([rootPort, 0, upstreamPort, 0, downstreamPort])
    expect(world.context.log).toContain(
      'pci 0000:01:00.0: claims to be downstream port but is acting as upstream port, correcting type',
    )
  })

  it('tells the type of a function since 6.10', () => {
    const lines = ['6.1.192', '6.12.117'].map((release) => {
      const world = new World({}, release)
      world.plug(numbered(rootPort, 0, 1, 1), world.root, '01')
      world.scan()
      return world.context.log[0]
    })
    expect(lines).toEqual([
      'pci 0000:00:01.0: [1b36:000c] type 01 class 0x060400',
      'pci 0000:00:01.0: [1b36:000c] type 01 class 0x060400 PCIe Root Port',
    ])
  })

  it('puts a domain behind its host, whose DMA it is', () => {
    const world = new World()
    const host = world.plug(endpoint({ classCode: 0x010400 }), world.root, '0e')
    const hosted = world.slots.addRoot('10000:e0', host)
    const port = world.plug(numbered(rootPort, 0xe0, 0xe1, 0xe1), hosted, '06')
    world.plug(endpoint(), world.below(port), '00')
    world.scan()
    expect(world.device('10000:e1:00.0').path).toBe(
      '/devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/10000:e1:00.0',
    )
    expect(world.device('10000:e1:00.0').realDmaDevice).toBe(world.device('0000:00:0e.0'))
  })
})

describe('events of a scan', () => {
  it('tell of buses and functions, not of the host bridge', () => {
    const world = new World()
    world.plug(numbered(rootPort, 0, 1, 1), world.root, '01')
    world.scan()
    expect(world.events).toEqual(['add 0000:00', 'add 0000:00:01.0', 'add 0000:01'])
    expect(world.files.exists('/class/pci_bus/0000:01/rescan')).toBe(true)
  })
})

describe('bus numbers', () => {
  it('are given to bridges that nobody programmed, within the window above', () => {
    const world = new World()
    const ready = world.plug(numbered(rootPort, 0, 1, 2), world.root, '01')
    const fresh = world.plug(bridge(rootPort), world.root, '02')
    const upstream = world.plug(bridge(upstreamPort), world.below(fresh), '00')
    const first = world.plug(bridge(downstreamPort), world.below(upstream), '00')
    const second = world.plug(bridge(downstreamPort), world.below(upstream), '01')
    for (const port of [ready, first, second]) world.plug(endpoint(), world.below(port), '00')
    world.scan()
    const numbers = (fn: typeof fresh): number[] =>
      [0x18, 0x19, 0x1a].map((offset) => fn.config.read(offset, 1))
    expect(numbers(ready)).toEqual([0, 1, 2])
    expect(numbers(fresh)).toEqual([0, 3, 6])
    expect(numbers(upstream)).toEqual([3, 4, 6])
    expect(numbers(first)).toEqual([4, 5, 5])
    expect(numbers(second)).toEqual([4, 6, 6])
    expect(world.pci.rootBuses[0]?.children.map(({ lastNumber }) => lastNumber)).toEqual([2, 6])
  })

  it('that contradict each other are given anew', () => {
    const world = new World()
    const broken = world.plug(numbered(rootPort, 3, 1, 1), world.root, '01')
    world.scan()
    expect(broken.config.read(0x18, 1)).toBe(0)
    expect(world.context.log).toContain(
      'pci 0000:00:01.0: bridge configuration invalid ([bus 01-01]), reconfiguring',
    )
  })
})

describe('addresses', () => {
  it('are given to BARs without one, inside the windows of the bridges above', () => {
    const world = new World()
    const port = world.plug(numbered(rootPort, 0, 1, 1), world.root, '01')
    const wide = { index: 2, size: 0x4000, kind: 'mem64', prefetchable: true } as const
    const fn = world.plug(endpoint({ bars: [MEMORY_BAR, wide] }), world.below(port), '00')
    const beside = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '02')
    world.scan()
    const low = fn.config.read(0x10, 4)
    const window = port.config.read(0x20, 4)
    expect(low).toBeGreaterThanOrEqual((window & 0xfff0) * 0x10000)
    expect(low).toBeLessThan(((window >>> 16) & 0xfff0) * 0x10000 + 0x100000)
    expect(low % MEMORY_BAR.size).toBe(0)
    expect(fn.config.read(0x1c, 4)).toBeGreaterThan(0)
    expect(fn.config.read(0x1c, 4)).toBe(port.config.read(0x28, 4))
    expect(beside.config.read(0x10, 4)).not.toBe(low)
  })

  it('of firmware stay, and are not handed out twice', () => {
    const world = new World()
    const fixed = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '02')
    fixed.config.write(0x10, 4, 0xc0000000)
    const free = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '01')
    world.scan()
    expect(fixed.config.read(0x10, 4)).toBe(0xc0000000)
    expect(free.config.read(0x10, 4)).toBe(0xc0020000)
  })

  it('stay in the registers when a function is removed, and are its own again when it is found', () => {
    const world = new World()
    const fn = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '01')
    world.scan()
    world.write('0000:00:01.0', 'remove', '1')
    world.writeFile('/bus/pci/rescan', '1')
    expect(fn.config.read(0x10, 4)).toBe(0xc0000000)
  })

  it('that another function has got meanwhile are replaced', () => {
    const world = new World()
    const first = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '01')
    world.scan()
    world.write('0000:00:01.0', 'remove', '1')
    const second = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.root, '00')
    second.config.write(0x10, 4, 0xc0000000)
    world.writeFile('/bus/pci/rescan', '1')
    expect(second.config.read(0x10, 4)).toBe(0xc0000000)
    expect(first.config.read(0x10, 4)).toBe(0xc0020000)
  })

  it('of what was pulled out serve what is plugged in, however often', () => {
    const world = new World()
    const buses = { primary: 0, secondary: 1, subordinate: 1 }
    const port = world.plug(bridge(rootPort, { buses, hotPlug: true }), world.root, '01')
    world.scan()
    const bus = world.device('0000:00:01.0').subordinate
    if (bus === null) throw new Error('no bus')
    for (let n = 0; n < 40; n++) {
      const fn = world.plug(endpoint({ bars: [MEMORY_BAR] }), world.below(port), '00')
      world.run(world.pci.hotPlugged(bus))
      expect(fn.config.read(0x10, 4)).toBe(0xc0000000)
      world.slots.unplug(fn)
      world.run(world.pci.hotUnplugged(world.device('0000:01:00.0'), false))
    }
  })

  it('that there is no room for are forgotten, until the bridge is found again with all behind it', () => {
    const world = new World()
    const bar = { ...MEMORY_BAR, size: 0x100000 }
    const port = world.plug(numbered(null, 0, 1, 1), world.root, '01')
    world.plug(endpoint({ type: null, bars: [bar] }), world.below(port), '01')
    world.scan()
    world.plug(endpoint({ type: null, bars: [bar] }), world.below(port), '02')
    world.writeFile('/bus/pci/rescan', '1')
    const line = (): string | undefined => world.read('0000:01:02.0', 'resource').split('\n')[0]
    expect(line()).toBe('0x0000000000000000 0x0000000000000000 0x0000000000000000')
    expect(world.exists('0000:01:02.0', 'resource0')).toBe(false)

    world.write('0000:01:01.0', 'remove', '1')
    world.write('0000:01:02.0', 'rescan', '1')
    expect(line()).toMatch(/^0x0+ 0x0+ 0x0+$/)

    world.write('0000:00:01.0', 'remove', '1')
    world.writeFile('/bus/pci/rescan', '1')
    expect(line()).toMatch(/^0x0+c0[01]00000 0x0+c0[01]fffff 0x0+40200$/)
    expect(world.read('0000:00:01.0', 'resource').split('\n')[14]).toBe(
      '0x00000000c0000000 0x00000000c01fffff 0x0000000000000200',
    )
  })

  it('are kept for cards of either kind behind a bridge with conventional hot-plug slots', () => {
    const world = new World()
    const shpc = { id: 0x0c, bytes: Uint8Array.of(0x0c, 0, 0, 0, 0, 0, 0, 0) }
    const buses = { primary: 0, secondary: 1, subordinate: 1 }
    world.plug(bridge(null, { buses, more: [shpc] }), world.root, '01')
    world.scan()
    const windows = world.read('0000:00:01.0', 'resource').split('\n').slice(14, 16)
    const sizes = windows.map((line) => {
      const [start = 0, end = 0] = line.split(' ').map(Number)
      return end + 1 - start
    })
    expect(sizes).toEqual([0x200000, 0x200000])
  })

  it('are shown by the resource file: thirteen ranges, four more for a bridge', () => {
    const world = new World()
    const port = world.plug(numbered(rootPort, 0, 1, 1), world.root, '01')
    world.plug(endpoint({ bars: [MEMORY_BAR] }), world.below(port), '00')
    world.scan()
    const lines = world.read('0000:01:00.0', 'resource').split('\n')
    expect(lines).toHaveLength(14)
    expect(lines[0]).toBe('0x00000000c0000000 0x00000000c001ffff 0x0000000000040200')
    expect(lines[1]).toBe('0x0000000000000000 0x0000000000000000 0x0000000000000000')
    const windows = world.read('0000:00:01.0', 'resource').split('\n')
    expect(windows).toHaveLength(18)
    expect(windows[14]).toBe('0x00000000c0000000 0x00000000c00fffff 0x0000000000000200')
  })
})
