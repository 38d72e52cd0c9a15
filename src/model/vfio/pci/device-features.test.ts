import { describe, expect, it } from 'vitest'
import { deviceAt, EDU, errnoOf, NIC, wide, words } from '../machine.case.ts'
import { REQUEST } from '../vfio-abi.ts'
import { driven } from './driven-device.case.ts'

describe('DEVICE_FEATURE', () => {
  it('checks flags before the feature', () => {
    const { program, device } = driven(NIC)
    const feature = (flags: number, argsz = 8): string =>
      errnoOf(() => program.ioctl(device, REQUEST.deviceFeature, words(argsz, flags, 0, 0)))
    expect(feature(0x80003)).toBe('EINVAL')
    expect(feature(0x30003)).toBe('EINVAL')
    expect(feature(0x70003)).toBe('EINVAL')
    expect(feature(0x60003)).toBe('ok')
    expect(feature(0x00003)).toBe('EINVAL')
    expect(feature(0x10003)).toBe('EINVAL')
    expect(feature(0x40001)).toBe('ENOTTY')
    expect(feature(0x4000a)).toBe('ENOTTY')
    expect(feature(0x20003, 7)).toBe('EINVAL')
    expect(feature(0x20004, 8)).toBe('EINVAL')
  })

  it('low power: sleeps between calls, and every call wakes it for as long as it lasts', () => {
    const { machine, program, device } = driven(NIC)
    const { power, powerState } = deviceAt(machine, NIC)
    const enter = (): string =>
      errnoOf(() => program.ioctl(device, REQUEST.deviceFeature, words(8, 0x20003)))
    expect([power.status, powerState]).toEqual(['active', 'D0'])
    expect(enter()).toBe('ok')
    expect([power.status, deviceAt(machine, NIC).powerState]).toEqual(['suspended', 'D3hot'])
    expect(program.config(device, 0, 2)).toBe(0x8086)
    expect(power.status).toBe('suspended')
    expect(enter()).toBe('EINVAL')
    expect(errnoOf(() => program.ioctl(device, REQUEST.deviceFeature, words(8, 0x20005)))).toBe(
      'ok',
    )
    expect(power.status).toBe('active')
    program.exit()
    expect(power.status).toBe('suspended')
    expect(power.usageCount).toBe(0)
  })

  it('low power with wake-up: rings, and is over', () => {
    const { machine, program, device } = driven(NIC)
    const { counter, descriptor } = program.counter()
    const enter = (fd: number): string =>
      errnoOf(() => program.ioctl(device, REQUEST.deviceFeature, words(16, 0x20004, fd, 0)))
    expect(enter(-1)).toBe('EINVAL')
    expect(enter(99)).toBe('EBADF')
    expect(enter(descriptor)).toBe('ok')
    expect(counter.count).toBe(0)
    expect(program.config(device, 0, 2)).toBe(0x8086)
    expect(counter.take()).toBe(1)
    expect(deviceAt(machine, NIC).power.status).toBe('active')
    expect(program.config(device, 0, 2)).toBe(0x8086)
    expect(counter.take()).toBe(0)
  })
})

describe('DEVICE_IOEVENTFD', () => {
  it('writes a value to a register for every event', () => {
    const { machine, program, device } = driven(EDU)
    const { counter, descriptor } = program.counter()
    const set = (flags: number, offset: number, value: number, fd: number): string =>
      errnoOf(() =>
        program.ioctl(
          device,
          REQUEST.deviceIoeventfd,
          words(32, flags, ...wide(offset), ...wide(value), fd, 0),
        ),
      )
    expect(set(3, 4, 1, descriptor)).toBe('EINVAL')
    expect(set(0, 4, 1, descriptor)).toBe('EINVAL')
    expect(set(4, 4, 1, -2)).toBe('EINVAL')
    expect(set(4, 0x100000 - 2, 1, descriptor)).toBe('EINVAL')
    expect(set(4, 2 ** 40 + 4, 1, descriptor)).toBe('EINVAL')
    expect(set(4, 7 * 2 ** 40, 1, descriptor)).toBe('EINVAL')
    expect(set(4, 4, 1, -1)).toBe('ENODEV')
    expect(set(4, 4, 1, 99)).toBe('EBADF')
    expect(set(4, 4, 1, device)).toBe('EINVAL')
    expect(set(4, 4, 0xffffff00, descriptor)).toBe('ok')
    expect(set(4, 4, 0xffffff00, descriptor)).toBe('EEXIST')
    const { hardware } = deviceAt(machine, EDU)
    counter.signal()
    expect(counter.count).toBe(0)
    expect(hardware.readBar(0, 4, 4)).toBe(0xff)
    expect(set(4, 4, 0xffffff00, -1)).toBe('ok')
    hardware.writeBar(0, 4, 4, 0xffffffff)
    counter.signal()
    expect(hardware.readBar(0, 4, 4)).toBe(0)
    // Not into the MSI-X table.
    const nic = driven(NIC)
    const fd = nic.program.counter().descriptor
    const write = (offset: number): string =>
      errnoOf(() =>
        nic.program.ioctl(
          nic.device,
          REQUEST.deviceIoeventfd,
          words(32, 4, ...wide(3 * 2 ** 40 + offset), 0, 0, fd, 0),
        ),
      )
    expect(write(0x4c)).toBe('EINVAL')
    expect(write(0x50)).toBe('ok')
  })
})
