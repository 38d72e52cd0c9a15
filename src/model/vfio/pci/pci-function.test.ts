import { describe, expect, it } from 'vitest'
import {
  bind,
  deviceAt,
  EDU,
  errnoOf,
  fields,
  groupOf,
  NIC,
  NIC_B,
  NVME,
  PORT,
  type Program,
  words,
} from '../machine.case.ts'
import { REQUEST } from '../vfio-abi.ts'
import { driven } from './driven-device.case.ts'

/** Region info with room for capabilities: [argsz, flags, cap_offset, size, offset, capability words]. */
function region(program: Program, device: number, index: number, argsz = 40): number[] | string {
  const argument = new Uint8Array(40)
  argument.set(words(argsz, 0, index, 0x77))
  const code = errnoOf(() => program.ioctl(device, REQUEST.deviceGetRegionInfo, argument))
  return code === 'ok' ? fields(argument) : code
}

describe('what the ioctls of an e1000e say (9.3)', () => {
  it('DEVICE_GET_INFO', () => {
    for (const [release, padding] of [
      ['6.12.117', 0],
      ['6.1.192', 0xeeeeeeee],
    ] as const) {
      const { program, device } = driven(NIC, release)
      const argument = new Uint8Array(24).fill(0xee)
      argument.set(words(24))
      program.ioctl(device, REQUEST.deviceGetInfo, argument)
      expect(fields(argument)).toEqual([24, 3, 9, 5, 0, padding])
      const info = (bytes: Uint8Array): string =>
        errnoOf(() => program.ioctl(device, REQUEST.deviceGetInfo, bytes))
      expect(info(words(15, 0, 0, 0))).toBe('EINVAL')
      expect(info(words(16, 0, 0))).toBe('EFAULT')
      expect(info(words(16, 0, 0, 0))).toBe('ok')
    }
  })

  it('DEVICE_GET_REGION_INFO', () => {
    const { program, device } = driven(NIC)
    const at = (index: number): number[] => [0, index << 8]
    const plain = (index: number, flags: number, size: number): number[] => [
      ...[40, flags, index, 0x77],
      ...[size, 0, ...at(index), 0, 0],
    ]
    expect(region(program, device, 0)).toEqual(plain(0, 7, 0x20000))
    expect(region(program, device, 1)).toEqual(plain(1, 7, 0x20000))
    expect(region(program, device, 2)).toEqual(plain(2, 3, 0x20))
    expect(region(program, device, 3)).toEqual([
      ...[40, 0xf, 3, 32],
      ...[0x4000, 0, ...at(3)],
      ...[0x00010003, 0],
    ])
    expect(region(program, device, 3, 32)).toEqual([
      ...[40, 0xf, 3, 0],
      ...[0x4000, 0, ...at(3)],
      ...[0, 0],
    ])
    expect(region(program, device, 4)).toEqual(plain(4, 0, 0))
    expect(region(program, device, 5)).toEqual(plain(5, 0, 0))
    expect(region(program, device, 6)).toEqual(plain(6, 0, 0))
    expect(region(program, device, 7)).toEqual(plain(7, 3, 0x1000))
    expect(region(program, device, 8)).toBe('EINVAL')
    expect(region(program, device, 9)).toBe('EINVAL')
    expect(region(program, device, 0, 31)).toBe('EINVAL')
  })

  it('DEVICE_GET_REGION_INFO of a BAR that the kernel had no room for: there is none', () => {
    const { machine, program, group, device } = driven(NIC)
    program.close(device)
    deviceAt(machine, NIC).forgottenBars.add(0x14)
    const again = program.device(group, NIC)
    expect(region(program, again, 1)).toEqual([40, 0, 1, 0x77, 0, 0, 0, 1 << 8, 0, 0])
  })

  it('DEVICE_GET_REGION_INFO of a ROM: its BAR, if it begins with the signature', () => {
    const { machine, program, group, device } = driven(NIC)
    program.close(device)
    const { hardware } = deviceAt(machine, NIC)
    const bars = [...hardware.bars, { index: 6, size: 0x40000, kind: 'rom', prefetchable: false }]
    let signature = 0xaa55
    Object.assign(hardware, { bars, readBar: () => signature })
    hardware.config.poke(0x30, 4, 0xfeb00000)
    const again = program.device(group, NIC)
    expect(region(program, again, 6)).toEqual([40, 1, 6, 0x77, 0x40000, 0, 0, 6 << 8, 0, 0])
    signature = 0x1234
    expect(region(program, again, 6)).toEqual([40, 0, 6, 0x77, 0, 0, 0, 6 << 8, 0, 0])
    expect(machine.context.log.at(-1)).toBe(
      `vfio-pci ${NIC}: Invalid PCI ROM header signature: expecting 0xaa55, got 0x1234`,
    )
    expect(errnoOf(() => program.process.file(again).read?.(6 * 2 ** 40, 4))).toBe('ENOMEM')
    // The user may size it; enabling is one bit.
    program.setConfig(again, 0x30, 4, 0xffffffff)
    expect(program.config(again, 0x30, 4)).toBe(0xfffc0001)
  })

  it('DEVICE_GET_IRQ_INFO', () => {
    const irq = (program: Program, device: number, index: number): number[] | string => {
      const argument = words(16, 0, index, 0)
      const code = errnoOf(() => program.ioctl(device, REQUEST.deviceGetIrqInfo, argument))
      return code === 'ok' ? [fields(argument)[1] ?? -1, fields(argument)[3] ?? -1] : code
    }
    for (const [release, msix] of [
      ['6.12.117', 1],
      ['6.1.192', 9],
    ] as const) {
      const { program, device } = driven(NIC, release)
      const all = [0, 1, 2, 3, 4, 5].map((index) => irq(program, device, index))
      expect(all).toEqual([[7, 1], [9, 1], [msix, 5], [9, 1], [9, 1], 'EINVAL'])
    }
    // No PCI Express, no errors to report; no MSI-X either.
    const { program, device } = driven(EDU)
    const all = [0, 1, 2, 3, 4].map((index) => irq(program, device, index))
    expect(all).toEqual([[7, 1], [9, 1], [9, 0], 'EINVAL', [9, 1]])
  })

  it('GET_PCI_HOT_RESET_INFO: counts first, then fills', () => {
    const { machine, program, device } = driven(NIC)
    const info = (bytes: Uint8Array): string =>
      errnoOf(() => program.ioctl(device, REQUEST.deviceGetHotResetInfo, bytes))
    const short = words(12, 9, 9)
    expect(info(short)).toBe('ENOSPC')
    expect(fields(short)).toEqual([12, 0, 2])
    const full = words(28, 0, 0, 0, 0, 0, 0)
    expect(info(full)).toBe('ok')
    const group = groupOf(machine, NIC)
    expect(fields(full)).toEqual([28, 0, 2, group, 0x00010000, group, 0x01010000])
    expect(info(words(8, 0, 0))).toBe('EINVAL')
    // All or nothing.
    const some = words(20, 0, 0, 0, 0)
    expect(info(some)).toBe('ENOSPC')
    expect(fields(some)).toEqual([20, 0, 2, 0, 0])
  })

  it('DEVICE_GET_INFO of a device that may send atomic operations to memory', () => {
    const { machine, program, device } = driven(NIC)
    const info = (argsz: number): number[] => {
      const argument = new Uint8Array(40)
      argument.set(words(argsz))
      program.ioctl(device, REQUEST.deviceGetInfo, argument)
      return fields(argument)
    }
    const capabilities2 = (address: string, value: number): void => {
      const { config } = deviceAt(machine, address).hardware
      const at = config.capability(0x10)
      config.poke(at + 2, 2, (config.read(at + 2, 2) & ~0xf) | 2)
      config.poke(at + 0x24, 4, value)
    }
    capabilities2(NIC, 0x180)
    expect(info(24)).toEqual([24, 3, 9, 5, 0, 0, 0, 0, 0, 0])
    capabilities2(PORT, 0x380)
    expect(info(24)).toEqual([40, 0x83, 9, 5, 0, 0, 0, 0, 0, 0])
    expect(info(40)).toEqual([40, 0x83, 9, 5, 24, 0, 0x00010005, 0, 3, 0])
    const older = driven(NIC, '6.1.192')
    const argument = words(24, 0, 0, 0, 0, 0)
    older.program.ioctl(older.device, REQUEST.deviceGetInfo, argument)
    expect(fields(argument)[1]).toBe(3)
  })

  it('others: ENOTTY', () => {
    const { program, device } = driven(NIC)
    expect(errnoOf(() => program.ioctl(device, 0x3b72))).toBe('ENOTTY')
    expect(errnoOf(() => program.ioctl(device, REQUEST.groupGetStatus, words(8, 0)))).toBe('ENOTTY')
  })
})

describe('regions', () => {
  const BAR = 2 ** 40

  it('read and write registers of the device', () => {
    const { program, device } = driven(EDU)
    const file = program.process.file(device)
    // Identification, and the register that inverts what is written.
    expect([...(file.read?.(0, 4) ?? [])]).toEqual([0xed, 0x00, 0x00, 0x01])
    expect(file.write?.(4, words(0x12345678))).toBe(4)
    expect(fields(file.read?.(4, 4) ?? new Uint8Array(0))).toEqual([~0x12345678 >>> 0])
    expect(file.read?.(0, 0)).toEqual(new Uint8Array(0))
    expect(file.read?.(0x100000 - 2, 8).length).toBe(2)
    expect(errnoOf(() => file.read?.(0x100000, 4))).toBe('EINVAL')
    expect(errnoOf(() => file.read?.(BAR, 4))).toBe('EINVAL')
    expect(errnoOf(() => file.read?.(8 * BAR, 4))).toBe('EINVAL')
    expect(errnoOf(() => file.read?.(20 * BAR, 4))).toBe('EINVAL')
    expect(errnoOf(() => file.write?.(6 * BAR, words(0)))).toBe('EINVAL')
  })

  it('do not answer with memory decoding off, nor in D3hot', () => {
    const { machine, program, device } = driven(NIC)
    const file = program.process.file(device)
    const read = (): string => errnoOf(() => file.read?.(0, 4))
    const command = program.config(device, 4, 2)
    expect(read()).toBe('ok')
    program.setConfig(device, 4, 2, command & ~2)
    expect(read()).toBe('EIO')
    expect(errnoOf(() => file.read?.(2 * BAR, 4))).toBe('ok')
    program.setConfig(device, 4, 2, command)
    expect(read()).toBe('ok')
    const power = deviceAt(machine, NIC).hardware.config.capability(1)
    program.setConfig(device, power + 4, 2, 3)
    expect(deviceAt(machine, NIC).powerState).toBe('D3hot')
    expect(program.config(device, power + 4, 2) & 3).toBe(3)
    expect(read()).toBe('EIO')
    program.setConfig(device, power + 4, 2, 0)
    expect(read()).toBe('ok')
  })

  it('hide the MSI-X table from pread and pwrite', () => {
    const { machine, program, device } = driven(NIC)
    const file = program.process.file(device)
    const { hardware } = deviceAt(machine, NIC)
    hardware.writeBar(3, 0, 4, 0x11223344)
    expect([...(file.read?.(3 * BAR, 4) ?? [])]).toEqual([0xff, 0xff, 0xff, 0xff])
    expect(file.write?.(3 * BAR, words(0x55))).toBe(4)
    expect(hardware.readBar(3, 0, 4)).toBe(0x11223344)
  })

  it('can be mapped where they are plain memory', () => {
    const { machine, program, device } = driven(NIC)
    const file = program.process.file(device)
    expect(errnoOf(() => file.map?.(2 * BAR, 4096))).toBe('EINVAL')
    expect(errnoOf(() => file.map?.(7 * BAR, 4096))).toBe('EINVAL')
    expect(errnoOf(() => file.map?.(0, 0x21000))).toBe('EINVAL')
    expect(errnoOf(() => file.map?.(0x10, 4096))).toBe('EINVAL')
    expect(errnoOf(() => file.map?.(0, 4096))).toBe('ENODEV')
    const bytes = new Uint8Array(0x20000)
    Object.assign(deviceAt(machine, NIC).hardware, { memory: () => bytes })
    const window = file.map?.(0x1000, 0x2000).bytes ?? new Uint8Array(0)
    window[3] = 7
    expect([window.length, bytes[0x1003]]).toEqual([0x2000, 7])
  })

  it('are gone with the device', () => {
    const { machine, program, device } = driven(EDU)
    machine.slots.unplug(deviceAt(machine, EDU).hardware)
    const file = program.process.file(device)
    expect(errnoOf(() => file.read?.(0, 4))).toBe('EIO')
    expect(errnoOf(() => file.read?.(7 * BAR, 4))).toBe('ENODEV')
  })
})

describe('opening and closing', () => {
  it('hands over a device that is reset, decodes its BARs and cannot do DMA', () => {
    const { machine, program, device } = driven(NVME)
    const command = program.config(device, 4, 2)
    expect(command & 0x407).toBe(2)
    const { config } = deviceAt(machine, NVME).hardware
    program.setConfig(device, 4, 2, command | 4)
    expect(config.read(4, 2) & 4).toBe(4)
    program.close(device)
    expect(config.read(4, 2) & 4).toBe(0)
  })

  it('brings back the registers of before, whatever the user wrote', () => {
    const { machine, program, device } = driven(NIC)
    const { config } = deviceAt(machine, NIC).hardware
    const before = config.read(0x0c, 1)
    program.setConfig(device, 0x0c, 1, 0x40)
    expect(config.read(0x0c, 1)).toBe(0x40)
    program.close(device)
    expect(config.read(0x0c, 1)).toBe(before)
  })

  it('DEVICE_RESET: EINVAL without a way, else the device starts anew', () => {
    const { program, device } = driven(NIC)
    expect(errnoOf(() => program.ioctl(device, REQUEST.deviceReset))).toBe('ok')
    const edu = driven(EDU)
    const info = words(16, 0, 0, 0)
    edu.program.ioctl(edu.device, REQUEST.deviceGetInfo, info)
    const resets = (fields(info)[1] ?? 0) & 1
    const reset = (): number => edu.program.ioctl(edu.device, REQUEST.deviceReset)
    expect(errnoOf(reset)).toBe(resets === 1 ? 'ok' : 'EINVAL')
  })

  it('PCI_HOT_RESET: wants all groups, and everything on the bus on vfio-pci', () => {
    const { machine, program, group, device } = driven(NIC)
    const reset = (...descriptors: number[]): string =>
      errnoOf(() =>
        program.ioctl(
          device,
          REQUEST.deviceHotReset,
          words(12 + 4 * descriptors.length, 0, descriptors.length, ...descriptors),
        ),
      )
    expect(reset()).toBe('EINVAL')
    expect(reset(group)).toBe('EINVAL')
    bind(machine, NIC_B)
    expect(reset(99)).toBe('EBADF')
    expect(reset(device)).toBe('EINVAL')
    expect(reset(group, group, group)).toBe('EINVAL')
    expect(errnoOf(() => program.ioctl(device, REQUEST.deviceHotReset, words(12, 1, 0)))).toBe(
      'EINVAL',
    )
    bind(machine, EDU)
    expect(reset(program.group(EDU))).toBe('EINVAL')
    program.setConfig(device, 0x0c, 1, 0x40)
    // Done, but the port above never reports an active link, and Linux waits for that.
    expect(reset(group)).toBe('ENOTTY')
    // Registers are kept around the reset.
    expect(program.config(device, 0x0c, 1)).toBe(0x40)
    deviceAt(machine, NIC_B).lock.tryAcquire()
    expect(reset(group)).toBe('EAGAIN')
  })
})
