import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Errno } from '../errno.ts'
import { runNow } from '../task.ts'
import { fakeWorld } from './fake-bus.case.ts'
import {
  allow,
  disableRuntimePower,
  enableRuntimePower,
  forbid,
  resume,
  RuntimePower,
  runtimeStatus,
  suspendIfIdle,
} from './runtime-power.ts'

/** A bridge, a device below it, and what they do, in order. */
function pair(): { bridge: RuntimePower; device: RuntimePower; story: string[] } {
  const bridge = new RuntimePower(null)
  const device = new RuntimePower(bridge)
  const story: string[] = []
  for (const [name, power] of [
    ['bridge', bridge],
    ['device', device],
  ] as const) {
    power.suspend = (): void => void story.push(`${name} sleeps`)
    power.wake = (): void => void story.push(`${name} wakes`)
    enableRuntimePower(power)
  }
  return { bridge, device, story }
}

describe('runtime power', () => {
  it('leaves what is found below a sleeping parent asleep, and keeps nobody awake for it', () => {
    const { bridge, device } = pair()
    disableRuntimePower(device)
    allow(bridge)
    const newcomer = new RuntimePower(bridge)
    enableRuntimePower(newcomer)
    expect([runtimeStatus(bridge), runtimeStatus(newcomer)]).toEqual(['suspended', 'suspended'])
    expect(newcomer.control).toBe('on')
    resume(newcomer)
    expect([runtimeStatus(bridge), runtimeStatus(newcomer)]).toEqual(['active', 'active'])
  })

  it('is not supported until it is enabled, and then forbidden', () => {
    const power = new RuntimePower(null)
    expect([runtimeStatus(power), power.control]).toEqual(['unsupported', 'auto'])
    enableRuntimePower(power)
    expect([runtimeStatus(power), power.control]).toEqual(['active', 'on'])
    disableRuntimePower(power)
    expect(runtimeStatus(power)).toBe('unsupported')
  })

  it('lets a bridge sleep after what is below it, and wakes it before', () => {
    const { bridge, device, story } = pair()
    allow(bridge)
    expect(story).toEqual([])
    allow(device)
    expect(story).toEqual(['device sleeps', 'bridge sleeps'])
    story.length = 0
    resume(device)
    expect(story).toEqual(['bridge wakes', 'device wakes'])
    expect(bridge.activeChildren).toBe(1)
    suspendIfIdle(device)
    expect([runtimeStatus(device), runtimeStatus(bridge)]).toEqual(['suspended', 'suspended'])
  })

  it('keeps a device awake for its users, for its children, and while it is forbidden to sleep', () => {
    const { bridge, device } = pair()
    resume(device)
    allow(device)
    allow(bridge)
    expect(runtimeStatus(device)).toBe('active')
    suspendIfIdle(device)
    expect(runtimeStatus(device)).toBe('suspended')
    forbid(device)
    expect([runtimeStatus(device), runtimeStatus(bridge)]).toEqual(['active', 'active'])
    allow(device)
    expect(runtimeStatus(bridge)).toBe('suspended')
  })

  it('leaves a device awake that refuses to sleep', () => {
    const { bridge, device } = pair()
    device.suspend = (): void => {
      throw new Errno('EBUSY')
    }
    allow(bridge)
    allow(device)
    expect([runtimeStatus(device), bridge.activeChildren]).toEqual(['active', 1])
    device.suspend = (): void => {
      throw new TypeError('a mistake')
    }
    resume(device)
    expect(() => {
      suspendIfIdle(device)
    }).toThrow(TypeError)
  })

  it('does not keep a bridge awake for a device that could not wake', () => {
    const { bridge, device, story } = pair()
    allow(bridge)
    allow(device)
    device.wake = (): void => {
      throw new Errno('EIO')
    }
    expect(() => {
      resume(device)
    }).toThrow('EIO')
    expect([runtimeStatus(device), runtimeStatus(bridge)]).toEqual(['suspended', 'suspended'])
    expect(story.at(-1)).toBe('bridge sleeps')
  })

  it('ignores a reference that is given back twice', () => {
    const { device } = pair()
    suspendIfIdle(device)
    expect(device.usageCount).toBe(0)
  })

  it('lets the bridge sleep when the device goes', () => {
    const { bridge, device } = pair()
    allow(bridge)
    disableRuntimePower(device)
    disableRuntimePower(device)
    expect([runtimeStatus(bridge), bridge.activeChildren]).toEqual(['suspended', 0])
  })

  it('is asleep exactly when nothing keeps it awake, whatever happened before', () => {
    const call = fc.record({
      which: fc.nat(3),
      does: fc.constantFrom(resume, suspendIfIdle, allow, forbid),
    })
    fc.assert(
      fc.property(fc.array(call, { maxLength: 60 }), (calls) => {
        // A bridge, a switch below it, and two devices below that.
        const bridge = new RuntimePower(null)
        const middle = new RuntimePower(bridge)
        const all = [bridge, middle, new RuntimePower(middle), new RuntimePower(middle)]
        for (const power of all) enableRuntimePower(power)
        for (const { which, does } of calls) does(all[which] ?? bridge)
        for (const power of all) {
          const awake = all.filter(({ parent, status }) => parent === power && status === 'active')
          expect(power.activeChildren).toBe(awake.length)
          const needed = power.control === 'on' || power.usageCount > 0 || awake.length > 0
          expect(power.status).toBe(needed ? 'active' : 'suspended')
        }
      }),
    )
  })
})

describe('the power directory', () => {
  it('shows what the device does and takes "on" and "auto"', () => {
    const world = fakeWorld()
    const { power } = world.add('a1')
    const show = (): unknown[] =>
      ['control', 'runtime_status', 'runtime_enabled', 'runtime_usage'].map((name) =>
        world.read(`/devices/a1/power/${name}`),
      )
    expect(show()).toEqual(['auto\n', 'unsupported\n', 'disabled\n', '0\n'])
    enableRuntimePower(power)
    expect(show()).toEqual(['on\n', 'active\n', 'forbidden\n', '1\n'])
    const control = '/devices/a1/power/control'
    expect(world.write(control, 'auto\n')).toBe('ok')
    expect(show()).toEqual(['auto\n', 'suspended\n', 'enabled\n', '0\n'])
    expect(world.write(control, 'on')).toBe('ok')
    for (const junk of ['ON', 'on ', 'on\n\n', 'auto\nx', '1', '\n']) {
      expect(world.write(control, junk)).toBe('EINVAL')
    }
    disableRuntimePower(power)
    expect(show()).toEqual(['on\n', 'unsupported\n', 'disabled & forbidden\n', '1\n'])
  })

  it('has no delay to show, and none to set', () => {
    const world = fakeWorld()
    world.add('a1')
    expect(world.read('/devices/a1/power/autosuspend_delay_ms')).toBe('EIO')
    expect(world.write('/devices/a1/power/autosuspend_delay_ms', '100')).toBe('EIO')
  })

  it('is not written while somebody has the lock of the device', () => {
    const world = fakeWorld()
    const { lock, power } = world.add('a1')
    runNow(lock.acquire())
    expect(world.write('/devices/a1/power/control', 'on')).toBe('EDEADLK')
    expect(power.control).toBe('auto')
    expect(world.read('/devices/a1/power/control')).toBe('auto\n')
  })
})
