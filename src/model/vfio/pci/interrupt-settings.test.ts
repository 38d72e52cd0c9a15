import { describe, expect, it } from 'vitest'
import {
  bind,
  deviceAt,
  EDU,
  errnoOf,
  NIC,
  NIC_B,
  Program,
  type TestMachine,
  testMachine,
  type TestMachineOptions,
  words,
} from '../machine.case.ts'
import { REQUEST } from '../vfio-abi.ts'

const NONE = 1
const BOOL = 2
const EVENTFD = 4
const MASK = 0x08
const UNMASK = 0x10
const TRIGGER = 0x20
const [INTX, MSI, MSIX, ERR, REQ] = [0, 1, 2, 3, 4] as const
/** Registers of the teaching device: raise and acknowledge interrupts. */
const RAISE = 0x60
const ACKNOWLEDGE = 0x64

interface Fixture {
  readonly machine: TestMachine
  readonly program: Program
  readonly container: number
  readonly device: number
  /** SET_IRQS with 32-bit data. @returns the errno, or the result */
  readonly set: (
    flags: number,
    index: number,
    start: number,
    count: number,
    ...data: number[]
  ) => string | number
  readonly setBytes: (
    flags: number,
    index: number,
    start: number,
    ...data: number[]
  ) => string | number
  readonly write: (offset: number, value: number) => void
}

function driven(address: string, options: TestMachineOptions = {}): Fixture {
  const machine = testMachine(options)
  bind(machine, address)
  const program = new Program(machine)
  const { container, device } = program.drive(address)
  const call = (argument: Uint8Array): string | number => {
    let result = -1
    const code = errnoOf(() => {
      result = program.ioctl(device, REQUEST.deviceSetIrqs, argument)
    })
    return code === 'ok' ? result : code
  }
  return {
    machine,
    program,
    container,
    device,
    set: (flags, index, start, count, ...data) =>
      call(words(20 + 4 * data.length, flags, index, start, count, ...data)),
    setBytes: (flags, index, start, ...data) => {
      const argument = new Uint8Array(20 + data.length)
      argument.set(words(argument.length, flags, index, start, data.length))
      argument.set(data, 20)
      return call(argument)
    },
    write: (offset, value) => {
      program.process.file(device).write?.(offset, words(value))
    },
  }
}

function master({ program, device }: Fixture): void {
  program.setConfig(device, 4, 2, program.config(device, 4, 2) | 4)
}

describe('DEVICE_SET_IRQS refuses', () => {
  it('sizes, indexes and kinds of data that make no sense', () => {
    const { program, device, set } = driven(NIC)
    const call = (argument: Uint8Array): string =>
      errnoOf(() => program.ioctl(device, REQUEST.deviceSetIrqs, argument))
    expect(call(words(20, 0, 0, 0))).toBe('EFAULT')
    expect(call(words(19, TRIGGER | NONE, 0, 0, 0))).toBe('EINVAL')
    expect(call(words(24, TRIGGER | EVENTFD, 0, 0, 1))).toBe('EFAULT')
    expect(set(TRIGGER | NONE, 5, 0, 0)).toBe('EINVAL')
    expect(set(TRIGGER | NONE | 0x40, INTX, 0, 0)).toBe('EINVAL')
    expect(set(TRIGGER | NONE | BOOL, INTX, 0, 0)).toBe('EINVAL')
    expect(set(TRIGGER, INTX, 0, 0)).toBe('EINVAL')
    expect(set(TRIGGER | EVENTFD, INTX, 1, 1, -1)).toBe('EINVAL')
    expect(set(TRIGGER | EVENTFD, MSIX, 3, 3, -1, -1, -1)).toBe('EINVAL')
    expect(set(TRIGGER | EVENTFD, MSIX, 0, 2, -1)).toBe('EINVAL')
    expect(set(TRIGGER | EVENTFD, MSIX, 2, 0xfffffffe, -1)).toBe('EINVAL')
  })

  it('masking of messages, and actions that errors and requests do not have', () => {
    const { set } = driven(NIC)
    for (const index of [MSI, MSIX, ERR, REQ]) {
      expect(set(MASK | NONE, index, 0, 1)).toBe('ENOTTY')
      expect(set(UNMASK | NONE, index, 0, 1)).toBe('ENOTTY')
      expect(set(NONE, index, 0, 1)).toBe('ENOTTY')
      expect(set(TRIGGER | MASK | NONE, index, 0, 1)).toBe('ENOTTY')
    }
    expect(set(MASK | UNMASK | NONE, INTX, 0, 1)).toBe('ENOTTY')
    expect(set(MASK | NONE, INTX, 0, 1)).toBe('EINVAL')
    expect(set(TRIGGER | NONE, INTX, 0, 1)).toBe('EINVAL')
    expect(set(TRIGGER | NONE, MSI, 0, 1)).toBe('EINVAL')
  })

  it('messages where the function or the bridge above it may not use them', () => {
    const { machine, program, set } = driven(NIC)
    const { descriptor } = program.counter()
    const device = deviceAt(machine, NIC)
    for (const one of [device, device.pciBus.bridge]) {
      if (one === null) throw new Error('no bridge')
      one.noMsi = true
      expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe('EINVAL')
      expect(set(TRIGGER | EVENTFD, MSIX, 0, 1, descriptor)).toBe('EINVAL')
      one.noMsi = false
    }
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe(0)
  })

  it('descriptors that are no event counters, and two kinds of interrupts at once', () => {
    const { program, device, set } = driven(NIC)
    const { descriptor } = program.counter()
    for (const index of [INTX, MSI, MSIX, ERR, REQ]) {
      expect(set(TRIGGER | EVENTFD, index, 0, 1, 99)).toBe('EBADF')
      expect(set(TRIGGER | EVENTFD, index, 0, 1, device)).toBe('EINVAL')
    }
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe(0)
    expect(set(TRIGGER | EVENTFD, INTX, 0, 1, descriptor)).toBe('EINVAL')
    expect(set(TRIGGER | EVENTFD, MSIX, 0, 1, descriptor)).toBe('EINVAL')
    expect(set(TRIGGER | NONE, MSI, 0, 0)).toBe(0)
    expect(set(TRIGGER | EVENTFD, INTX, 0, 1, descriptor)).toBe(0)
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe('EINVAL')
    expect(set(TRIGGER | NONE, INTX, 0, 0)).toBe(0)
    expect(set(TRIGGER | EVENTFD, MSIX, 0, 0)).toBe('ERANGE')
  })
})

describe('INTx', () => {
  it('rings once, is masked, and rings again when it is unmasked too early', () => {
    const fixture = driven(EDU)
    const { machine, program, set, write } = fixture
    const { counter, descriptor } = program.counter()
    const { config } = deviceAt(machine, EDU).hardware
    expect(set(TRIGGER | EVENTFD, INTX, 0, 1, descriptor)).toBe(0)
    write(RAISE, 1)
    expect(counter.take()).toBe(1)
    expect(config.read(4, 2) & 0x400).toBe(0x400)
    write(RAISE, 2)
    expect(counter.take()).toBe(0)
    expect(set(UNMASK | NONE, INTX, 0, 1)).toBe(0)
    expect(counter.take()).toBe(1)
    write(ACKNOWLEDGE, 3)
    expect(set(UNMASK | NONE, INTX, 0, 1)).toBe(0)
    expect(counter.take()).toBe(0)
    write(RAISE, 1)
    expect(counter.take()).toBe(1)
  })

  it('is masked and unmasked with NONE or BOOL, and unmasked by an event', () => {
    const { program, set, setBytes, write } = driven(EDU)
    const { counter, descriptor } = program.counter()
    const unmask = program.counter()
    set(TRIGGER | EVENTFD, INTX, 0, 1, descriptor)
    expect(setBytes(MASK | BOOL, INTX, 0, 0)).toBe(0)
    write(RAISE, 1)
    expect(counter.take()).toBe(1)
    write(ACKNOWLEDGE, 1)
    set(UNMASK | NONE, INTX, 0, 1)
    expect(setBytes(MASK | BOOL, INTX, 0, 1)).toBe(0)
    write(RAISE, 1)
    expect(counter.take()).toBe(0)
    expect(setBytes(UNMASK | BOOL, INTX, 0, 0)).toBe(0)
    expect(counter.take()).toBe(0)
    expect(setBytes(UNMASK | BOOL, INTX, 0, 1)).toBe(0)
    expect(counter.take()).toBe(1)
    expect(set(MASK | EVENTFD, INTX, 0, 1, unmask.descriptor)).toBe('ENOTTY')
    expect(set(UNMASK | EVENTFD, INTX, 0, 1, 99)).toBe('EBADF')
    expect(set(UNMASK | EVENTFD, INTX, 0, 1, unmask.descriptor)).toBe(0)
    expect(set(UNMASK | EVENTFD, INTX, 0, 1, unmask.descriptor)).toBe('EBUSY')
    unmask.counter.signal()
    expect(counter.take()).toBe(1)
    expect(unmask.counter.count).toBe(0)
    expect(set(UNMASK | EVENTFD, INTX, 0, 1, -1)).toBe(0)
    unmask.counter.signal()
    expect(counter.take()).toBe(0)
  })

  it('is silent while the user has DisINTx set', () => {
    const fixture = driven(EDU)
    const { program, device, set, write } = fixture
    const { counter, descriptor } = program.counter()
    set(TRIGGER | EVENTFD, INTX, 0, 1, descriptor)
    const command = program.config(device, 4, 2)
    program.setConfig(device, 4, 2, command | 0x400)
    write(RAISE, 1)
    expect(set(TRIGGER | NONE, INTX, 0, 1)).toBe(0)
    expect(counter.take()).toBe(0)
    program.setConfig(device, 4, 2, command & ~0x400)
    expect(counter.take()).toBe(1)
  })

  it('can be fired by the user himself, and its counter be changed or taken away', () => {
    const { program, set, setBytes, write } = driven(EDU)
    const one = program.counter()
    const other = program.counter()
    set(TRIGGER | EVENTFD, INTX, 0, 1, one.descriptor)
    expect(set(TRIGGER | NONE, INTX, 0, 1)).toBe(0)
    expect(setBytes(TRIGGER | BOOL, INTX, 0, 1)).toBe(0)
    expect(setBytes(TRIGGER | BOOL, INTX, 0, 0)).toBe(0)
    expect(one.counter.take()).toBe(2)
    expect(set(TRIGGER | EVENTFD, INTX, 0, 1, other.descriptor)).toBe(0)
    write(RAISE, 1)
    expect([one.counter.take(), other.counter.take()]).toEqual([0, 1])
    write(ACKNOWLEDGE, 1)
    set(UNMASK | NONE, INTX, 0, 1)
    expect(set(TRIGGER | EVENTFD, INTX, 0, 1, -1)).toBe(0)
    write(RAISE, 1)
    expect(other.counter.take()).toBe(0)
    expect(set(TRIGGER | NONE, INTX, 0, 0)).toBe(0)
    expect(set(UNMASK | NONE, INTX, 0, 1)).toBe('EINVAL')
  })
})

describe('MSI', () => {
  it('rings the counter of its vector, through the remapping table', () => {
    const fixture = driven(EDU)
    const { program, set, write } = fixture
    const { counter, descriptor } = program.counter()
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe(0)
    write(RAISE, 1)
    expect(counter.take()).toBe(0)
    master(fixture)
    write(RAISE, 2)
    expect(counter.take()).toBe(1)
    expect(set(TRIGGER | NONE, MSI, 0, 1)).toBe(0)
    expect(counter.take()).toBe(1)
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, -1)).toBe(0)
    write(RAISE, 4)
    expect(counter.take()).toBe(0)
    expect(set(TRIGGER | NONE, MSI, 0, 1)).toBe(0)
    expect(counter.take()).toBe(0)
  })

  it('works without remapping too, where anybody can forge it', () => {
    const machine = testMachine({
      interruptRemapping: false,
      commandLine: 'vfio_iommu_type1.allow_unsafe_interrupts=1',
    })
    bind(machine, EDU)
    bind(machine, NIC)
    const program = new Program(machine)
    const { device } = program.drive(EDU)
    const { counter, descriptor } = program.counter()
    const set = words(24, TRIGGER | EVENTFD, MSI, 0, 1, descriptor)
    program.ioctl(device, REQUEST.deviceSetIrqs, set)
    program.setConfig(device, 4, 2, 6)
    program.process.file(device).write?.(RAISE, words(1))
    expect(counter.take()).toBe(1)
    const { config } = deviceAt(machine, EDU).hardware
    const at = config.capability(5)
    expect(config.read(at + 4, 4) >>> 20).toBe(0xfee)
  })
})

describe('MSI-X', () => {
  it('gives each vector its own counter; on 6.12 more can be added later', () => {
    for (const [release, added] of [
      ['6.12.117', 0],
      ['6.1.192', 'EINVAL'],
    ] as const) {
      const { machine, program, set } = driven(NIC, { release })
      const { hardware } = deviceAt(machine, NIC)
      const counters = [0, 1, 2].map(() => program.counter())
      const [a = -1, b = -1, c = -1] = counters.map(({ descriptor }) => descriptor)
      expect(set(TRIGGER | EVENTFD, MSIX, 0, 2, a, b)).toBe(0)
      const masks = (): number[] =>
        [0, 1, 2, 3, 4].map((n) => hardware.readBar(3, 16 * n + 12, 4) & 1)
      expect(masks()).toEqual([0, 0, 1, 1, 1])
      expect(set(TRIGGER | EVENTFD, MSIX, 3, 1, c)).toBe(added)
      expect(masks()).toEqual([0, 0, 1, added === 0 ? 0 : 1, 1])
      expect(set(TRIGGER | EVENTFD, MSIX, 1, 1, -1)).toBe(0)
      expect(masks()[1]).toBe(1)
      expect(set(TRIGGER | NONE, MSIX, 0, 2)).toBe(0)
      expect(counters.map(({ counter }) => counter.take())).toEqual([1, 0, 0])
      const at = hardware.config.capability(0x11)
      expect(hardware.config.read(at + 2, 2) & 0x8000).toBe(0x8000)
      expect(set(TRIGGER | NONE, MSIX, 0, 0)).toBe(0)
      expect(hardware.config.read(at + 2, 2) & 0x8000).toBe(0)
      expect(masks()).toEqual([1, 1, 1, 1, 1])
    }
  })

  it('takes all descriptors of a block or none', () => {
    const { machine, program, set } = driven(NIC)
    const { descriptor } = program.counter()
    expect(set(TRIGGER | EVENTFD, MSIX, 0, 3, descriptor, 99, descriptor)).toBe('EBADF')
    const { config } = deviceAt(machine, NIC).hardware
    expect(config.read(config.capability(0x11) + 2, 2) & 0x8000).toBe(0)
    expect(set(TRIGGER | EVENTFD, MSI, 0, 1, descriptor)).toBe(0)
  })

  it('ends with the last close', () => {
    const { machine, program, device, set } = driven(NIC)
    const { descriptor } = program.counter()
    set(TRIGGER | EVENTFD, MSIX, 0, 1, descriptor)
    program.close(device)
    const { config } = deviceAt(machine, NIC).hardware
    expect(config.read(config.capability(0x11) + 2, 2) & 0x8000).toBe(0)
    expect(deviceAt(machine, NIC_B).driver).toBeNull()
  })
})

describe('errors and requests', () => {
  it('have one counter each, which can be set, fired and taken away', () => {
    for (const index of [ERR, REQ]) {
      const { program, set, setBytes } = driven(NIC)
      const { counter, descriptor } = program.counter()
      expect(set(TRIGGER | NONE, index, 0, 1)).toBe('EINVAL')
      expect(set(TRIGGER | EVENTFD, index, 0, 0)).toBe('EINVAL')
      expect(setBytes(TRIGGER | BOOL, index, 0)).toBe('EINVAL')
      expect(set(TRIGGER | EVENTFD, index, 0, 1, descriptor)).toBe(0)
      expect(set(TRIGGER | NONE, index, 0, 1)).toBe(0)
      expect(setBytes(TRIGGER | BOOL, index, 0, 1)).toBe(0)
      expect(setBytes(TRIGGER | BOOL, index, 0, 0)).toBe(0)
      expect(counter.take()).toBe(2)
      // 6.1 takes it for "as it is".
      expect(set(TRIGGER | EVENTFD, index, 0, 1, -2)).toBe('EINVAL')
      expect(set(TRIGGER | NONE, index, 0, 1)).toBe(0)
      expect(counter.take()).toBe(1)
      expect(set(TRIGGER | EVENTFD, index, 0, 1, -1)).toBe(0)
      expect(set(TRIGGER | NONE, index, 0, 1)).toBe('EINVAL')
      expect(set(TRIGGER | EVENTFD, index, 0, 1, descriptor)).toBe(0)
      expect(set(TRIGGER | NONE, index, 0, 0)).toBe(0)
      expect(set(TRIGGER | NONE, index, 0, 0)).toBe('EINVAL')
    }
  })

  it('errors are for PCI Express', () => {
    const { set } = driven(EDU)
    expect(set(TRIGGER | NONE, ERR, 0, 1)).toBe('EINVAL')
  })
})
