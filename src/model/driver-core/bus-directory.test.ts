import { describe, expect, it } from 'vitest'
import { Errno } from '../errno.ts'
import { wait } from '../task.ts'
import { bytesOf, failing, type FakeWorld, fakeWorld, ROOT, USER } from './fake-bus.case.ts'

const BIND = '/bus/toy/drivers/a/bind'
const UNBIND = '/bus/toy/drivers/a/unbind'
const PROBE = '/bus/toy/drivers_probe'

function withDevice(release?: string): FakeWorld {
  const world = fakeWorld(release)
  world.register('a')
  world.register('b')
  world.add('a1')
  return world
}

describe('bind and unbind', () => {
  it('bind what is free and matches, and say which driver a device is not bound to', () => {
    const world = withDevice()
    expect(world.write(BIND, 'a1')).toBe('EBUSY')
    expect(world.write('/bus/toy/drivers/b/bind', 'a1')).toBe('ENODEV')
    expect(world.write(BIND, 'zz')).toBe('ENODEV')
    expect(world.write('/bus/toy/drivers/b/unbind', 'a1')).toBe('ENODEV')
    expect(world.write(UNBIND, 'a1')).toBe('ok')
    expect(world.write(UNBIND, 'a1')).toBe('ENODEV')
    expect(world.write(BIND, 'a1')).toBe('ok')
    expect(world.files.link('/bus/toy/drivers/a/a1')).toBe('../../../../devices/a1')
    expect(world.files.link('/devices/a1/driver')).toBe('../../bus/toy/drivers/a')
  })

  it('take a newline at the end, and nothing else, for no part of the name', () => {
    const world = withDevice()
    for (const text of [' a1', 'a1 ', 'a1\n\n', 'a1\nx', '\na1', '\n']) {
      expect(world.write(UNBIND, text), JSON.stringify(text)).toBe('ENODEV')
    }
    expect(world.write(UNBIND, 'a1\n')).toBe('ok')
    expect(world.write(BIND, 'a1\0junk')).toBe('ok')
  })

  it('look at the driver before they have the lock, and release whichever there is then', () => {
    const world = withDevice()
    const device = world.bus.devices.get('a1')
    expect(device?.lock.tryAcquire()).toBe(true)
    const { scheduler } = world.context
    scheduler.start('unbind', world.files.write(UNBIND, bytesOf('a1'), ROOT), () => undefined)
    scheduler.settle()
    if (device !== undefined) device.driver = world.driver('b')
    device?.lock.release()
    scheduler.settle()
    expect(world.story.at(-4)).toBe('remove a1 by b')
  })

  it('ignore a write of nothing', () => {
    const world = withDevice()
    expect(world.write(BIND, '')).toBe('ok')
    expect(world.write(PROBE, '')).toBe('ok')
  })

  it('pass on what probe failed with, and what the core refused with', () => {
    const world = fakeWorld()
    world.add('a1')
    let code = 'EINVAL'
    world.register('a', { probe: () => failing(code) })
    expect(world.write(BIND, 'a1')).toBe('EINVAL')
    code = 'EPROBE_DEFER'
    expect(world.write(BIND, 'a1')).toBe('EAGAIN')
    for (const [refusal, answer] of [
      ['EBUSY', 'EBUSY'],
      ['EPROBE_DEFER', 'EAGAIN'],
    ] as const) {
      world.bus.operations.configureDma = (): void => {
        throw new Errno(refusal)
      }
      expect(world.write(BIND, 'a1')).toBe(answer)
    }
  })

  it('said ENODEV to all of it before 5.14', () => {
    const world = withDevice('5.13')
    expect(world.write(BIND, 'a1')).toBe('ENODEV')
    world.register('c', { probe: () => failing('EINVAL') })
    world.add('c1')
    expect(world.write('/bus/toy/drivers/c/bind', 'c1')).toBe('ENODEV')
    const next = withDevice('5.14')
    expect(next.write(BIND, 'a1')).toBe('EBUSY')
  })

  it('are for root alone', () => {
    const world = withDevice()
    for (const path of [BIND, UNBIND, PROBE, '/bus/toy/uevent', '/bus/toy/drivers/a/uevent']) {
      expect(world.write(path, 'a1', USER)).toBe('EACCES')
      expect(world.read(path)).toBe('EACCES')
    }
  })
})

describe('drivers_probe', () => {
  it('succeeds whether or not a driver took the device', () => {
    const world = fakeWorld()
    const device = world.add('a1')
    expect(world.write(PROBE, 'a1')).toBe('ok')
    world.register('a', { probe: () => failing('EIO') })
    expect(world.write(PROBE, 'a1')).toBe('ok')
    expect(device.driver).toBeNull()
    world.register('a1')
    expect(world.write(PROBE, 'a1\n')).toBe('ok')
    expect(device.driver?.name).toBe('a1')
  })

  it('does not wait for a device that its driver is letting go of', () => {
    const world = fakeWorld()
    world.register('a', { remove: () => wait('users', () => false) })
    world.add('a1')
    const { scheduler } = world.context
    scheduler.start('unbind', world.files.write(UNBIND, bytesOf('a1'), ROOT), () => undefined)
    scheduler.settle()
    expect(world.write(PROBE, 'a1')).toBe('ok')
    expect(world.write(BIND, 'a1')).toBe('EDEADLK')
  })

  it('fails when there is no such device, or the core refused', () => {
    const world = fakeWorld()
    world.add('a1')
    world.register('b')
    world.bus.operations.configureDma = (): void => {
      throw new Errno('EBUSY')
    }
    expect(world.write(PROBE, 'zz')).toBe('ENODEV')
    expect(world.write(PROBE, 'a1')).toBe('ok')
    world.register('a')
    expect(world.write(PROBE, 'a1')).toBe('EINVAL')
  })
})

describe('drivers_autoprobe', () => {
  it('is off when the first byte is a zero, and on otherwise', () => {
    const world = fakeWorld()
    const path = '/bus/toy/drivers_autoprobe'
    expect(world.read(path, USER)).toBe('1\n')
    for (const [text, shown] of [
      ['0', '0\n'],
      ['n', '1\n'],
      ['01', '0\n'],
      ['\n', '1\n'],
    ] as const) {
      expect(world.write(path, text)).toBe('ok')
      expect(world.read(path)).toBe(shown)
    }
    expect(world.write(path, '0', USER)).toBe('EACCES')
  })
})

describe('driver_override', () => {
  const path = '/bus/toy/devices/a1/driver_override'

  it('reads "(null)", keeps the text up to a newline, and is cleared by an empty line', () => {
    const world = withDevice()
    expect(world.read(path, USER)).toBe('(null)\n')
    for (const [text, shown] of [
      ['x\ny', 'x\n'],
      ['', 'x\n'],
      ['\n', '(null)\n'],
      [' x ', ' x \n'],
      ['\0', '(null)\n'],
      ['x\0y', 'x\n'],
      ['\nx', '(null)\n'],
    ] as const) {
      expect(world.write(path, text), JSON.stringify(text)).toBe('ok')
      expect(world.read(path)).toBe(shown)
    }
    expect(world.write(path, 'x', USER)).toBe('EACCES')
  })

  it('takes one byte less than fits a page with its newline', () => {
    const world = withDevice()
    expect(world.write(path, 'x'.repeat(4094))).toBe('ok')
    expect(world.write(path, 'y'.repeat(4095))).toBe('EINVAL')
    // Longer writes are cut to a page first, which is still too long.
    expect(world.write(path, 'y'.repeat(5000))).toBe('EINVAL')
    expect(world.read(path)).toBe(`${'x'.repeat(4094)}\n`)
  })

  it('neither probes nor unbinds', () => {
    const world = withDevice()
    world.story.length = 0
    expect(world.write(path, 'b')).toBe('ok')
    expect(world.story).toEqual([])
    expect(world.files.link('/devices/a1/driver')).toContain('drivers/a')
  })

  it('keeps every other driver away, and lets one in that knows no such device', () => {
    const world = withDevice()
    expect(world.write(path, 'b')).toBe('ok')
    expect(world.write(UNBIND, 'a1')).toBe('ok')
    expect(world.write(BIND, 'a1')).toBe('ENODEV')
    expect(world.write(PROBE, 'a1')).toBe('ok')
    expect(world.files.link('/devices/a1/driver')).toContain('drivers/b')
    expect(world.write('/bus/toy/drivers/b/unbind', 'a1')).toBe('ok')
    expect(world.write(path, 'none')).toBe('ok')
    expect(world.write(PROBE, 'a1')).toBe('ok')
    expect(world.files.exists('/devices/a1/driver')).toBe(false)
  })
})

describe('a bus and its drivers in sysfs', () => {
  it('have the files of Linux', () => {
    const world = fakeWorld()
    world.register('a', { module: 'toy_a' })
    world.register('builtin')
    world.add('a1')
    expect(world.files.list('/bus/toy').toSorted()).toEqual([
      'devices',
      'drivers',
      'drivers_autoprobe',
      'drivers_probe',
      'uevent',
    ])
    expect(world.files.list('/bus/toy/drivers/a').toSorted()).toEqual([
      'a1',
      'bind',
      'module',
      'uevent',
      'unbind',
    ])
    expect(world.files.list('/bus/toy/drivers/builtin')).not.toContain('module')
    expect(world.files.link('/bus/toy/drivers/a/module')).toBe('../../../../module/toy_a')
    expect(world.files.link('/bus/toy/devices/a1')).toBe('../../../devices/a1')
    expect(world.read('/bus/toy/drivers/none')).toBe('ENOENT')
  })

  it('repeat their events on request', () => {
    const world = withDevice()
    const seen: unknown[] = []
    world.context.uevents.listen(({ variables }) => seen.push(variables.slice(0, -1)))
    expect(world.write('/bus/toy/uevent', 'change')).toBe('ok')
    expect(world.write('/bus/toy/drivers/a/uevent', 'add\n')).toBe('ok')
    expect(world.write('/bus/toy/drivers/a/uevent', 'explode')).toBe('EINVAL')
    const rest = ['SYNTH_UUID', '0']
    expect(seen).toEqual([
      [['ACTION', 'change'], ['DEVPATH', '/bus/toy'], ['SUBSYSTEM', 'bus'], rest],
      [['ACTION', 'add'], ['DEVPATH', '/bus/toy/drivers/a'], ['SUBSYSTEM', 'drivers'], rest],
    ])
    expect(world.context.log).toEqual([
      'synth uevent: /bus/toy/drivers/a: unknown uevent action string',
    ])
  })
})
