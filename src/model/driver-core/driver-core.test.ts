import { describe, expect, it } from 'vitest'
import { Errno } from '../errno.ts'
import type { Capability, Credentials } from '../process.ts'
import { runNow, step, type Task, wait } from '../task.ts'
import { addDevice, removeDevice } from './add-device.ts'
import { attachDevice, registerDriver, releaseDriver, unregisterDriver } from './bind.ts'
import type { Device } from './device.ts'
import { type FakeWorld, fakeWorld } from './fake-bus.case.ts'

const ROOT: Credentials = { uid: 0, capabilities: new Set<Capability>(['CAP_DAC_OVERRIDE']) }
const USER: Credentials = { uid: 1000, capabilities: new Set<Capability>() }

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0))
}

function write(world: FakeWorld, path: string, text: string, who = ROOT): string {
  try {
    runNow(world.files.write(path, bytes(text), who))
    return 'ok'
  } catch (error) {
    if (error instanceof Errno) return error.code
    throw error
  }
}

function read(world: FakeWorld, path: string, who = ROOT): unknown {
  try {
    return world.files.read(path, who)
  } catch (error) {
    if (error instanceof Errno) return error.code
    throw error
  }
}

function add(world: FakeWorld, name: string): Device {
  const device = world.device(name)
  runNow(addDevice(world.context, device))
  return device
}

function* failing(code: string): Task<void> {
  yield* step('about to fail')
  throw new Errno(code)
}

describe('a device that appears and goes', () => {
  it('is known to the notifiers before it is announced, and announced before it is probed', () => {
    const world = fakeWorld()
    runNow(registerDriver(world.context, world.driver('a')))
    const device = add(world, 'a1')
    expect(world.story).toEqual([
      'add-device a1',
      'uevent add a1',
      'configure a1',
      'bind-driver a1',
      'probe a1 by a',
      'bound-driver a1',
      'uevent bind a1',
    ])
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
  })

  it('is not probed with autoprobe off, nor by a driver that comes then', () => {
    const world = fakeWorld()
    expect(write(world, '/bus/toy/drivers_autoprobe', '0')).toBe('ok')
    runNow(registerDriver(world.context, world.driver('a')))
    const device = add(world, 'a1')
    runNow(registerDriver(world.context, world.driver('a1')))
    expect(device.driver).toBeNull()
    expect(write(world, '/bus/toy/drivers_autoprobe', 'y')).toBe('ok')
    expect(read(world, '/bus/toy/drivers_autoprobe')).toBe('1\n')
  })

  it('cannot be bound once its end has begun', () => {
    const world = fakeWorld()
    const device = add(world, 'a1')
    device.dead = true
    runNow(registerDriver(world.context, world.driver('a')))
    expect(device.driver).toBeNull()
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('ENODEV')
  })
})

describe('binding', () => {
  it('asks the drivers in the order they registered, and goes on after a failed probe', () => {
    const world = fakeWorld()
    const device = add(world, 'abc')
    runNow(registerDriver(world.context, world.driver('ab', { probe: () => failing('EINVAL') })))
    expect(device.driver).toBeNull()
    runNow(registerDriver(world.context, world.driver('a', { probe: () => failing('ENODEV') })))
    runNow(registerDriver(world.context, world.driver('abc')))
    expect(device.driver?.name).toBe('abc')
    expect(world.story).toContain('driver-not-bound abc')
    expect(world.context.log).toEqual(['ab abc: probe with driver ab failed with error -22'])
  })

  it('words a failed probe as 6.1 does', () => {
    const world = fakeWorld('6.1.192')
    add(world, 'a1')
    runNow(registerDriver(world.context, world.driver('a', { probe: () => failing('EIO') })))
    expect(world.context.log).toEqual(['a: probe of a1 failed with error -5'])
  })

  it('stops at a refusal of the core, tells the caller, and leaves nothing behind', () => {
    const world = fakeWorld()
    const device = add(world, 'a1')
    world.bus.operations.configureDma = (): void => {
      throw new Errno('EBUSY')
    }
    runNow(registerDriver(world.context, world.driver('a')))
    runNow(registerDriver(world.context, world.driver('a1')))
    expect(() => runNow(attachDevice(world.context, device))).toThrow('EBUSY')
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('EBUSY')
    expect(write(world, '/bus/toy/drivers_probe', 'a1')).toBe('EINVAL')
    expect(device.driver).toBeNull()
    expect(device.links.has('driver')).toBe(false)
    expect(world.story.filter((line) => line.startsWith('probe'))).toEqual([])
  })

  it('gives the errnos of bind and unbind', () => {
    const world = fakeWorld()
    add(world, 'a1')
    runNow(registerDriver(world.context, world.driver('a')))
    runNow(registerDriver(world.context, world.driver('b')))
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('EBUSY')
    expect(write(world, '/bus/toy/drivers/b/bind', 'a1')).toBe('ENODEV')
    expect(write(world, '/bus/toy/drivers/a/bind', 'zz')).toBe('ENODEV')
    expect(write(world, '/bus/toy/drivers/b/unbind', 'a1')).toBe('ENODEV')
    expect(write(world, '/bus/toy/drivers/a/unbind', ' a1')).toBe('ENODEV')
    expect(write(world, '/bus/toy/drivers/a/unbind', 'a1\n')).toBe('ok')
    expect(write(world, '/bus/toy/drivers/a/unbind', 'a1')).toBe('ENODEV')
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1', USER)).toBe('EACCES')
    const old = fakeWorld('5.10')
    add(old, 'a1')
    runNow(registerDriver(old.context, old.driver('a')))
    expect(write(old, '/bus/toy/drivers/a/bind', 'a1')).toBe('ENODEV')
  })

  it('reports a failed probe to bind, and a deferred one as EAGAIN, but not to drivers_probe', () => {
    const world = fakeWorld()
    add(world, 'a1')
    let code = 'EINVAL'
    runNow(registerDriver(world.context, world.driver('a', { probe: () => failing(code) })))
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('EINVAL')
    expect(write(world, '/bus/toy/drivers_probe', 'a1')).toBe('ok')
    code = 'EPROBE_DEFER'
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('EAGAIN')
    expect(write(world, '/bus/toy/drivers_probe', 'zz')).toBe('ENODEV')
  })

  it('takes the links away before the driver waits for its users', () => {
    const world = fakeWorld()
    let busy = true
    const driver = world.driver('a', { remove: () => wait('users', () => !busy) })
    runNow(registerDriver(world.context, driver))
    const device = add(world, 'a1')
    const { scheduler } = world.context
    scheduler.start('unbind', releaseDriver(world.context, device), () => undefined)
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(1)
    expect(device.links.has('driver')).toBe(false)
    expect(world.files.list('/bus/toy/drivers/a')).not.toContain('a1')
    expect(read(world, '/bus/toy/devices/a1/uevent')).toContain('DRIVER=a')
    busy = false
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(0)
    expect(device.driver).toBeNull()
  })

  it('releases every device when a driver goes', () => {
    const world = fakeWorld()
    const driver = world.driver('a')
    runNow(registerDriver(world.context, driver))
    const devices = [add(world, 'a1'), add(world, 'a2')]
    runNow(unregisterDriver(world.context, driver))
    expect(devices.map((device) => device.driver)).toEqual([null, null])
    expect(world.files.exists('/bus/toy/drivers/a')).toBe(false)
  })
})

describe('driver_override', () => {
  const path = '/bus/toy/devices/a1/driver_override'

  it('reads "(null)", keeps the text up to a newline, and is cleared by an empty line', () => {
    const world = fakeWorld()
    add(world, 'a1')
    expect(read(world, path)).toBe('(null)\n')
    expect(write(world, path, 'x\ny')).toBe('ok')
    expect(read(world, path)).toBe('x\n')
    expect(write(world, path, '')).toBe('ok')
    expect(read(world, path)).toBe('x\n')
    expect(write(world, path, '\n')).toBe('ok')
    expect(read(world, path)).toBe('(null)\n')
    expect(write(world, path, 'x'.repeat(4094))).toBe('ok')
    expect(write(world, path, 'x'.repeat(4095))).toBe('EINVAL')
  })

  it('keeps every other driver away, and lets one in that knows no such device', () => {
    const world = fakeWorld()
    const device = add(world, 'a1')
    expect(write(world, path, 'other')).toBe('ok')
    runNow(registerDriver(world.context, world.driver('a')))
    expect(device.driver).toBeNull()
    expect(write(world, '/bus/toy/drivers/a/bind', 'a1')).toBe('ENODEV')
    runNow(registerDriver(world.context, world.driver('other')))
    expect(device.driver?.name).toBe('other')
  })
})

describe('files', () => {
  it('repeat an event on request, marked as made up', () => {
    const world = fakeWorld()
    add(world, 'a1')
    const seen: unknown[] = []
    world.context.uevents.listen((event) => seen.push(event.variables))
    expect(write(world, '/bus/toy/devices/a1/uevent', 'change')).toBe('ok')
    expect(write(world, '/bus/toy/devices/a1/uevent', 'explode')).toBe('EINVAL')
    expect(seen).toHaveLength(1)
    expect(seen[0]).toContainEqual(['SYNTH_UUID', '0'])
  })

  it('answer with the errnos of Linux', () => {
    const world = fakeWorld()
    add(world, 'a1')
    expect(read(world, '/bus/toy/devices/zz')).toBe('ENOENT')
    expect(read(world, '/bus/toy/devices')).toBe('EISDIR')
    expect(read(world, '/bus/toy/drivers_autoprobe/x')).toBe('ENOTDIR')
    expect(read(world, '/bus/toy/drivers_probe')).toBe('EIO')
    expect(read(world, '/bus/toy/drivers_probe', USER)).toBe('EACCES')
    expect(write(world, '/devices/a1/power/runtime_status', 'x')).toBe('EACCES')
    expect(write(world, '/bus/toy/devices', 'x')).toBe('EISDIR')
    expect(() => world.files.link('/bus/toy')).toThrow('EINVAL')
    expect(() => world.files.list('/bus/toy/drivers_autoprobe')).toThrow('ENOTDIR')
    expect(world.files.link('/bus/toy/devices/a1')).toBe('../../../devices/a1')
    expect(world.files.read('/bus/toy/devices/a1/subsystem/drivers_autoprobe', USER)).toBe('1\n')
  })
})
