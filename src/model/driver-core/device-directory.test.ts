import { describe, expect, it } from 'vitest'
import { runNow, wait } from '../task.ts'
import { addDevice, removeDevice } from './add-device.ts'
import { releaseDriver } from './bind.ts'
import { Device, type DeviceInit } from './device.ts'
import { type FakeWorld, fakeWorld, ROOT } from './fake-bus.case.ts'

function add(world: FakeWorld, init: Omit<DeviceInit, 'bus'> & Partial<DeviceInit>): Device {
  const device = new Device({ bus: null, ...init })
  runNow(addDevice(world.context, device))
  return device
}

describe('a device in sysfs', () => {
  it('has the files of the core, its links and its power directory', () => {
    const world = fakeWorld()
    world.register('a')
    world.add('a1')
    expect(world.files.list('/devices/a1').toSorted()).toEqual([
      'driver',
      'driver_override',
      'power',
      'subsystem',
      'uevent',
    ])
    expect(world.files.link('/devices/a1/subsystem')).toBe('../../bus/toy')
    expect(world.read('/bus/toy/devices/a1/subsystem/drivers_autoprobe')).toBe('1\n')
    expect(world.read('/devices/a1/dev')).toBe('ENOENT')
  })

  it('holds the devices of a class in a directory, and they link back', () => {
    const world = fakeWorld()
    const parent = world.add('a1')
    const eth0 = add(world, { name: 'eth0', parent, className: 'net', subdirectory: 'net' })
    add(world, { name: 'eth1', parent, className: 'net', subdirectory: 'net' })
    expect(world.files.list('/devices/a1').filter((name) => name === 'net')).toEqual(['net'])
    expect(world.files.list('/devices/a1/net')).toEqual(['eth0', 'eth1'])
    expect(world.files.list('/devices/a1/net/eth0').toSorted()).toEqual([
      'device',
      'power',
      'subsystem',
      'uevent',
    ])
    expect(world.files.link('/class/net/eth0')).toBe('../../devices/a1/net/eth0')
    expect(world.files.link('/class/net/eth0/device')).toBe('../../../a1')
    expect(world.files.link('/class/net/eth0/subsystem')).toBe('../../../../class/net')
    expect(world.read('/class/net/eth0/device/driver_override')).toBe('(null)\n')
    runNow(removeDevice(world.context, eth0))
    expect(world.files.list('/class/net')).toEqual(['eth1'])
    expect(world.files.exists('/devices/a1/net/eth0')).toBe(false)
  })

  it('shows the files of its driver only while it is bound to it', () => {
    const world = fakeWorld()
    let busy = true
    world.register('a', {
      attributes: [{ name: 'speed', mode: 0o444, show: () => 'fast\n' }],
      remove: () => wait('users', () => !busy),
    })
    const device = world.add('a1')
    expect(world.read('/devices/a1/speed')).toBe('fast\n')
    const { scheduler } = world.context
    scheduler.start('unbind', releaseDriver(world.context, device), () => undefined)
    scheduler.settle()
    expect(world.read('/devices/a1/speed')).toBe('ENOENT')
    busy = false
    scheduler.settle()
  })

  it('answers with what an attribute shows and stores, and hides what it does not have', () => {
    const world = fakeWorld()
    const stored: string[] = []
    add(world, {
      name: 'x',
      parent: null,
      bus: world.bus,
      attributes: [
        {
          name: 'level',
          mode: 0o644,
          show: (device, who) => `${device.name} ${String(who.uid)}\n`,
          // biome-ignore lint/correctness/useYield: a store is a task
          *store(device, bytes) {
            stored.push(`${device.name} ${String(bytes.length)}`)
          },
        },
        { name: 'hidden', mode: 0o444, visible: () => false, show: () => '' },
      ],
    })
    expect(world.read('/devices/x/level')).toBe('x 0\n')
    expect(world.write('/devices/x/level', 'four')).toBe('ok')
    expect(stored).toEqual(['x 4'])
    expect(world.read('/devices/x/hidden')).toBe('ENOENT')
    expect(world.files.list('/devices/x')).not.toContain('hidden')
  })
})

describe('/sys/devices', () => {
  it('has the directories above a device as long as there is one', () => {
    const world = fakeWorld()
    const group = (name: string): Device =>
      add(world, { name, parent: null, root: '/devices/virtual/vfio', className: 'vfio' })
    const [first, second] = [group('3'), group('4')]
    add(world, { name: 'pci0000:00', parent: null })
    expect(world.files.list('/devices')).toEqual(['virtual', 'pci0000:00'])
    expect(world.files.list('/devices/virtual/vfio')).toEqual(['3', '4'])
    expect(world.files.link('/class/vfio/3')).toBe('../../devices/virtual/vfio/3')
    expect(world.files.exists('/class/vfio/3/device')).toBe(false)
    runNow(removeDevice(world.context, first))
    expect(world.files.list('/devices/virtual/vfio')).toEqual(['4'])
    runNow(removeDevice(world.context, second))
    expect(world.files.list('/devices')).toEqual(['pci0000:00'])
    expect(world.files.list('/class/vfio')).toEqual([])
  })

  it('lists ten thousand devices and reads a file of each without looking through them all', () => {
    const world = fakeWorld()
    const host = add(world, { name: 'host', parent: null })
    const names = Array.from({ length: 10_000 }, (_, index) => `a${String(index)}`)
    world.context.uevents.listen(() => undefined)
    for (const name of names) {
      add(world, { name, parent: host, bus: world.bus })
      add(world, { name: `v${name}`, parent: null, root: '/devices/virtual/v', className: 'v' })
    }
    expect(world.files.list('/bus/toy/devices')).toHaveLength(10_000)
    expect(world.files.list('/devices/host')).toHaveLength(10_000 + 2)
    // A walk over all siblings for each would take minutes, longer than any test may.
    for (const name of names) {
      world.files.read(`/bus/toy/devices/${name}/driver_override`, ROOT)
      world.files.read(`/class/v/v${name}/power/control`, ROOT)
    }
  })
})
