import { describe, expect, it } from 'vitest'
import { runNow, wait } from '../task.ts'
import { addDevice, removeDevice } from './add-device.ts'
import { Device } from './device.ts'
import { failing, fakeWorld, outcomeOf } from './fake-bus.case.ts'

describe('addDevice()', () => {
  it('tells the notifiers before the world, and the world before a driver', () => {
    const world = fakeWorld()
    world.register('a')
    world.story.length = 0
    world.add('a1')
    expect(world.story).toEqual([
      'add-device a1',
      'uevent add a1',
      'configure a1',
      'bind-driver a1',
      'probe a1 by a',
      'bound-driver a1',
      'uevent bind a1',
    ])
  })

  it('shows the device in sysfs and on the bus before the notifiers run', () => {
    const world = fakeWorld()
    const seen: boolean[] = []
    world.bus.registerNotifier((event) => {
      if (event === 'add-device') seen.push(world.files.exists('/bus/toy/devices/a1/uevent'))
    })
    world.add('a1')
    expect(seen).toEqual([true])
  })

  it('takes a name once, whether the bus or the parent has it', () => {
    const world = fakeWorld()
    const first = world.add('a1')
    expect(outcomeOf(() => world.add('a1'))).toBe('EEXIST')
    const child = (): Device =>
      new Device({ name: 'eth0', parent: first, bus: null, className: 'net', subdirectory: 'net' })
    runNow(addDevice(world.context, child()))
    expect(outcomeOf(() => runNow(addDevice(world.context, child())))).toBe('EEXIST')
  })

  it('asks no driver while autoprobe is off, and does not mind a driver that says no', () => {
    const world = fakeWorld()
    world.register('a', { probe: () => failing('EINVAL') })
    expect(world.add('a1').driver).toBeNull()
    world.bus.autoprobe = false
    world.story.length = 0
    world.add('a2')
    expect(world.story).toEqual(['add-device a2', 'uevent add a2'])
  })

  it('keeps every driver away until the device is in its group and announced', () => {
    const world = fakeWorld()
    world.register('a')
    world.story.length = 0
    const device = world.device('a1')
    const adding = addDevice(world.context, device)
    const answers: string[] = []
    // At every step of it somebody else tries to bind.
    for (let { done } = adding.next(); done !== true; { done } = adding.next()) {
      if (!world.story.includes('uevent add a1')) {
        answers.push(world.write('/bus/toy/drivers/a/bind', 'a1'))
        answers.push(world.write('/bus/toy/drivers_probe', 'a1'))
        expect(world.bus.deferred.size).toBe(0)
      }
    }
    expect(answers).toEqual(['EAGAIN', 'EINVAL'])
    expect(world.story[0]).toBe('add-device a1')
    expect(device.driver?.name).toBe('a')
  })

  it('does not match a device that its bus still holds back', () => {
    const world = fakeWorld()
    world.register('a')
    const device = world.device('a1')
    device.matchable = false
    runNow(addDevice(world.context, device))
    expect(device.driver).toBeNull()
    expect(world.write('/bus/toy/drivers/a/bind', 'a1')).toBe('ENODEV')
    device.matchable = true
    expect(world.write('/bus/toy/drivers_probe', 'a1')).toBe('ok')
    expect(device.driver?.name).toBe('a')
  })
})

describe('removeDevice()', () => {
  it('takes the driver away between the two notifiers, and tells the world last', () => {
    const world = fakeWorld()
    world.register('a')
    const device = world.add('a1')
    world.story.length = 0
    runNow(removeDevice(world.context, device))
    expect(world.story).toEqual([
      'del-device a1',
      'unbind-driver a1',
      'remove a1 by a',
      'clean up a1',
      'unbound-driver a1',
      'uevent unbind a1',
      'removed-device a1',
      'uevent remove a1',
    ])
    expect(world.files.exists('/bus/toy/devices/a1')).toBe(false)
    expect(world.files.exists('/devices/a1')).toBe(false)
  })

  it('lets no driver in once it has begun', () => {
    const world = fakeWorld()
    let busy = true
    world.register('a', { remove: () => wait('users', () => !busy) })
    const device = world.add('a1')
    const { scheduler } = world.context
    scheduler.start('remove', removeDevice(world.context, device), () => undefined)
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(1)
    expect(world.files.exists('/bus/toy/devices/a1')).toBe(false)
    expect(world.files.exists('/devices/a1/uevent')).toBe(true)
    expect(world.write('/bus/toy/drivers/a/bind', 'a1')).toBe('ENODEV')
    world.story.length = 0
    runNow(removeDevice(world.context, device))
    expect(world.story).toEqual([])
    busy = false
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(0)
    expect([device.registered, device.driver]).toEqual([false, null])
  })

  it('does nothing to a device that was never added, and happens once', () => {
    const world = fakeWorld()
    const device = world.device('a1')
    runNow(removeDevice(world.context, device))
    expect(world.story).toEqual([])
    runNow(addDevice(world.context, device))
    runNow(removeDevice(world.context, device))
    world.story.length = 0
    runNow(removeDevice(world.context, device))
    expect(world.story).toEqual([])
  })

  it('forgets that the device wanted to be probed later', () => {
    const world = fakeWorld()
    world.register('a', { probe: () => failing('EPROBE_DEFER') })
    const device = world.add('a1')
    expect([...world.bus.deferred]).toEqual([device])
    runNow(removeDevice(world.context, device))
    expect(world.bus.deferred.size).toBe(0)
  })
})
