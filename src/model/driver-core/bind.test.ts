import { describe, expect, it } from 'vitest'
import { Errno } from '../errno.ts'
import { runNow, step, type Task, wait } from '../task.ts'
import { addDevice } from './add-device.ts'
import {
  attachDevice,
  bindDriver,
  registerDriver,
  releaseDriver,
  unregisterDriver,
} from './bind.ts'
import { Device } from './device.ts'
import { failing, type FakeWorld, fakeWorld, outcomeOf } from './fake-bus.case.ts'
import { allow, enableRuntimePower, runtimeStatus } from './runtime-power.ts'

/** The core refuses every driver, as it does when a user owns the group. */
function refuseAll(world: FakeWorld, code: string): void {
  world.bus.operations.configureDma = (): void => {
    throw new Errno(code)
  }
}

function probesOf({ story }: FakeWorld): string[] {
  return story.filter((line) => line.startsWith('probe'))
}

describe('attaching', () => {
  it('asks the drivers in the order they registered, and goes on after a failed probe', () => {
    const world = fakeWorld()
    const device = world.add('abc')
    world.bus.autoprobe = false
    world.register('ab', { probe: () => failing('EINVAL') })
    world.register('a', { probe: () => failing('ENODEV') })
    world.register('b')
    world.register('abc')
    world.story.length = 0
    expect(runNow(attachDevice(world.context, device))).toBe(true)
    expect(world.story.filter((line) => line !== 'configure abc')).toEqual([
      'bind-driver abc',
      'driver-not-bound abc',
      'clean up abc',
      'bind-driver abc',
      'driver-not-bound abc',
      'clean up abc',
      'bind-driver abc',
      'probe abc by abc',
      'bound-driver abc',
      'uevent bind abc',
    ])
  })

  it('tells a bound device from one that nobody wants', () => {
    const world = fakeWorld()
    const device = world.add('a1')
    expect(runNow(attachDevice(world.context, device))).toBe(false)
    const driver = world.register('a', { probe: () => failing('EIO') })
    expect(runNow(attachDevice(world.context, device))).toBe(false)
    runNow(unregisterDriver(world.context, driver))
    world.register('a')
    expect(runNow(attachDevice(world.context, device))).toBe(true)
    device.dead = true
    runNow(releaseDriver(world.context, device))
    expect(runNow(attachDevice(world.context, device))).toBe(false)
  })

  it('stops at a refusal of the core, tells the caller, and leaves nothing behind', () => {
    const world = fakeWorld()
    const device = world.add('a1')
    refuseAll(world, 'EBUSY')
    const drivers = [world.register('a'), world.register('a1')]
    expect(outcomeOf(() => runNow(attachDevice(world.context, device)))).toBe('EBUSY')
    expect(device.driver).toBeNull()
    expect(device.links.has('driver')).toBe(false)
    expect(drivers.map((driver) => world.bus.bound.get(driver)?.size ?? 0)).toEqual([0, 0])
    // Neither was a driver asked nor a notifier told: nothing had begun.
    expect(world.story).toEqual(['add-device a1', 'uevent add a1', 'uevent add a', 'uevent add a1'])
    expect(world.context.log).toEqual([])
  })

  it('swallowed even that before 5.14', () => {
    const world = fakeWorld('5.10')
    const device = world.add('a1')
    refuseAll(world, 'EBUSY')
    const driver = world.register('a')
    expect(runNow(attachDevice(world.context, device))).toBe(false)
    expect(outcomeOf(() => runNow(bindDriver(world.context, device, driver)))).toBe('ENODEV')
  })

  it('logs a failed probe in the words of the version, and says nothing of a polite one', () => {
    for (const [release, words] of [
      ['6.12.117', 'a a1: probe with driver a failed with error -95'],
      ['6.1.192', 'a: probe of a1 failed with error -95'],
    ] as const) {
      const world = fakeWorld(release)
      world.add('a1')
      world.register('a', { probe: () => failing('EOPNOTSUPP') })
      for (const polite of ['ENODEV', 'ENXIO', 'EPROBE_DEFER']) {
        world.register(polite === 'ENXIO' ? 'a1' : `a${polite}`, { probe: () => failing(polite) })
      }
      expect(world.context.log).toEqual([words])
    }
  })

  it('keeps the parent awake during the probe and lets both sleep after', () => {
    const world = fakeWorld()
    const parent = world.add('parent')
    const device = new Device({ name: 'a1', parent, bus: world.bus })
    const seen: string[] = []
    for (const { power } of [parent, device]) {
      enableRuntimePower(power)
      allow(power)
    }
    // biome-ignore lint/correctness/useYield: a probe is a task
    const probe = function* (): Task<void> {
      seen.push(runtimeStatus(parent.power))
    }
    world.register('a', { probe })
    expect(runtimeStatus(parent.power)).toBe('suspended')
    runNow(addDevice(world.context, device))
    expect(runtimeStatus(parent.power)).toBe('suspended')
    expect(world.write('/bus/toy/drivers/a/unbind', 'a1')).toBe('ok')
    expect(world.write('/bus/toy/drivers/a/bind', 'a1')).toBe('ok')
    expect(seen).toEqual(['active', 'active'])
    expect(runtimeStatus(parent.power)).toBe('suspended')
    expect(parent.power.usageCount).toBe(0)
  })
})

describe('a probe that wants to be tried later', () => {
  it('is tried again when another device got its driver', () => {
    const world = fakeWorld()
    let ready = false
    world.register('a', {
      *probe() {
        yield* step('look for the supplier')
        if (!ready) throw new Errno('EPROBE_DEFER')
      },
    })
    const device = world.add('a1')
    expect(device.driver).toBeNull()
    world.register('b')
    world.add('b1')
    world.context.scheduler.settle()
    expect(device.driver).toBeNull()
    expect([...world.bus.deferred]).toEqual([device])
    ready = true
    world.add('b2')
    world.context.scheduler.settle()
    expect(device.driver?.name).toBe('a')
    expect(world.bus.deferred.size).toBe(0)
    expect(world.context.log).toEqual([])
  })

  it('is not put off by an owned group, which no later probe would cure', () => {
    const world = fakeWorld()
    refuseAll(world, 'EBUSY')
    world.register('a')
    world.add('a1')
    expect(world.bus.deferred.size).toBe(0)
  })
})

describe('a driver that comes', () => {
  it('gets every free device that it matches, in the order they came', () => {
    const world = fakeWorld()
    const [first, second] = [world.add('ab2'), world.add('ab1')]
    world.add('other')
    world.register('ab2')
    world.story.length = 0
    world.register('ab')
    expect(probesOf(world)).toEqual(['probe ab1 by ab'])
    expect([first.driver?.name, second.driver?.name]).toEqual(['ab2', 'ab'])
  })

  it('gets none while autoprobe is off', () => {
    const world = fakeWorld()
    const device = world.add('a1')
    world.bus.autoprobe = false
    world.register('a')
    expect(device.driver).toBeNull()
  })

  it('is announced when its devices are bound', () => {
    const world = fakeWorld()
    world.add('a1')
    world.story.length = 0
    world.register('a')
    expect(world.story.slice(-2)).toEqual(['uevent bind a1', 'uevent add a'])
  })

  it('must have a name of its own', () => {
    const world = fakeWorld()
    world.register('a')
    expect(outcomeOf(() => world.register('a'))).toBe('EBUSY')
    expect(world.context.log).toEqual(["Error: Driver 'a' is already registered, aborting..."])
  })

  it('goes on with the next device when one is refused', () => {
    const world = fakeWorld()
    const [first, second] = [world.add('a1'), world.add('a2')]
    world.bus.operations.configureDma = (device): void => {
      if (device === first) throw new Errno('EBUSY')
    }
    world.register('a')
    expect([first.driver, second.driver?.name]).toEqual([null, 'a'])
  })
})

describe('a driver that goes', () => {
  it('lets go of its devices, the last one first, and is gone from sysfs', () => {
    const world = fakeWorld()
    const driver = world.register('a')
    const devices = [world.add('a1'), world.add('a2')]
    world.story.length = 0
    runNow(unregisterDriver(world.context, driver))
    expect(world.story.filter((line) => line.startsWith('remove'))).toEqual([
      'remove a2 by a',
      'remove a1 by a',
    ])
    expect(devices.map((device) => device.driver)).toEqual([null, null])
    expect(world.story.at(-1)).toBe('uevent remove a')
    expect(world.files.exists('/bus/toy/drivers/a')).toBe(false)
  })

  it('cannot be bound to a device by whoever waited for the lock meanwhile', () => {
    const world = fakeWorld()
    const driver = world.register('a')
    const device = world.add('a1')
    const { scheduler } = world.context
    const going = unregisterDriver(world.context, driver)
    going.next()
    const answers: unknown[] = []
    scheduler.start('bind', bindDriver(world.context, device, driver), (outcome) =>
      answers.push('error' in outcome ? outcome.error : 'bound'),
    )
    scheduler.settle()
    runNow(going)
    scheduler.settle()
    expect(answers).toEqual([expect.objectContaining({ code: 'ENODEV' })])
    expect(device.driver).toBeNull()
  })
})

describe('binding', () => {
  it('fails when the device began to go while it waited for the lock', () => {
    const world = fakeWorld()
    world.bus.autoprobe = false
    const driver = world.register('a')
    const device = world.add('a1')
    const { scheduler } = world.context
    const answers: unknown[] = []
    runNow(device.lock.acquire())
    scheduler.start('bind', bindDriver(world.context, device, driver), (outcome) =>
      answers.push('error' in outcome ? outcome.error : 'bound'),
    )
    scheduler.settle()
    device.dead = true
    device.lock.release()
    scheduler.settle()
    expect(answers).toEqual([expect.objectContaining({ code: 'ENODEV' })])
    expect(device.driver).toBeNull()
  })
})

describe('letting go', () => {
  it('takes the links away before the driver waits for its users', () => {
    const world = fakeWorld()
    let busy = true
    world.register('a', { remove: () => wait('users', () => !busy) })
    const device = world.add('a1')
    const { scheduler } = world.context
    scheduler.start('unbind', releaseDriver(world.context, device), () => undefined)
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(1)
    expect(device.links.has('driver')).toBe(false)
    expect(world.files.list('/bus/toy/drivers/a')).not.toContain('a1')
    expect(world.files.exists('/bus/toy/drivers/a/a1')).toBe(false)
    expect(world.read('/bus/toy/devices/a1/uevent')).toContain('DRIVER=a')
    busy = false
    scheduler.settle()
    expect(scheduler.threads).toHaveLength(0)
    expect(device.driver).toBeNull()
  })

  it('makes everybody else who wants the device wait', () => {
    const world = fakeWorld()
    let busy = true
    world.register('a', { remove: () => wait('users', () => !busy) })
    const device = world.add('a1')
    const { scheduler } = world.context
    const ended: string[] = []
    const start = (name: string, task: Task<unknown>): void => {
      scheduler.start(name, task, () => ended.push(name))
    }
    start('unbind', releaseDriver(world.context, device))
    scheduler.settle()
    start('probe', attachDevice(world.context, device))
    start('unbind again', releaseDriver(world.context, device))
    scheduler.settle()
    expect(ended).toEqual([])
    busy = false
    scheduler.settle()
    expect(ended).toHaveLength(3)
  })

  it('spares a device that has another driver by now', () => {
    const world = fakeWorld()
    const [old, present] = [world.driver('a'), world.driver('a1')]
    runNow(registerDriver(world.context, present))
    const device = world.add('a1')
    runNow(releaseDriver(world.context, device, old))
    expect(device.driver).toBe(present)
  })
})
