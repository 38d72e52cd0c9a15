import { describe, expect, it } from 'vitest'
import { removeDevice } from '../driver-core/add-device.ts'
import { releaseDriver } from '../driver-core/bind.ts'
import { EventCounter } from '../event-counter.ts'
import { runNow } from '../task.ts'
import {
  bind,
  deviceAt,
  EDU,
  errnoOf,
  groupOf,
  NIC,
  NIC_B,
  NVME,
  Program,
  type TestMachine,
  testMachine,
  text,
  unbind,
  words,
} from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

const VFIO = '/devices/virtual/vfio'
const NIC_PATH = `/devices/pci0000:00/0000:00:01.0/${NIC}`

function nodes(machine: TestMachine): readonly string[] {
  return machine.vfio.nodes().list()
}

/** Unbinds in a task that may sleep. @returns whether it has ended */
function startUnbind(machine: TestMachine, address: string): () => boolean {
  let done = false
  const task = releaseDriver(machine.context, deviceAt(machine, address))
  machine.context.scheduler.start('unbind', task, () => {
    done = true
  })
  machine.context.scheduler.settle()
  return () => {
    machine.context.scheduler.settle()
    return done
  }
}

describe('nodes under /dev/vfio', () => {
  it('appear with the first member on VFIO and vanish with the last', () => {
    const machine = testMachine()
    expect(nodes(machine)).toEqual(['vfio'])
    bind(machine, NIC)
    bind(machine, NIC_B)
    expect(nodes(machine)).toEqual(['vfio', '3'])
    unbind(machine, NIC)
    expect(nodes(machine)).toEqual(['vfio', '3'])
    unbind(machine, NIC_B)
    expect(nodes(machine)).toEqual(['vfio'])
  })

  it('are 10:196 with mode 0666, and 245:n with mode 0600 until somebody changes that', () => {
    const machine = testMachine()
    bind(machine, NIC)
    bind(machine, EDU)
    expect(machine.vfio.node('/dev/vfio/vfio')).toMatchObject({ devt: '10:196', mode: 0o666 })
    expect(machine.vfio.node('/dev/vfio/3')).toMatchObject({ devt: '245:0', mode: 0o600, uid: 0 })
    expect(machine.vfio.node('/dev/vfio/4')).toMatchObject({ devt: '245:1' })
    const user = new Program(machine, { uid: 1000 })
    expect(errnoOf(() => user.open('/dev/vfio/3'))).toBe('EACCES')
    expect(errnoOf(() => user.open('/dev/vfio/vfio'))).toBe('ok')
    const node = machine.vfio.node('/dev/vfio/3')
    if (node !== undefined) node.uid = 1000
    expect(errnoOf(() => user.open('/dev/vfio/3'))).toBe('ok')
    expect(machine.vfio.nodes().find('3')).toMatchObject({ kind: 'file', mode: 0o600 })
  })

  it('are not there for members without a VFIO driver', () => {
    const machine = testMachine()
    bind(machine, NIC, machine.native)
    expect(errnoOf(() => new Program(machine).open('/dev/vfio/3'))).toBe('ENOENT')
  })
})

describe('uevents', () => {
  it('of a first member: the group, vfio-dev, bind; of a second one no group', () => {
    const machine = testMachine()
    bind(machine, NIC)
    expect(machine.events).toEqual([
      `add ${VFIO}/3`,
      `add ${NIC_PATH}/vfio-dev/vfio0`,
      `bind ${NIC_PATH}`,
    ])
    machine.events.length = 0
    bind(machine, NIC_B)
    expect(machine.events).toEqual([
      `add ${NIC_PATH.replace(NIC, NIC_B)}/vfio-dev/vfio1`,
      `bind ${NIC_PATH.replace(NIC, NIC_B)}`,
    ])
  })

  it('of the last member that leaves: vfio-dev, the group, unbind', () => {
    for (const release of ['6.1.192', '6.12.117']) {
      const machine = testMachine({ release })
      bind(machine, NIC)
      machine.events.length = 0
      unbind(machine, NIC)
      expect(machine.events).toEqual([
        `remove ${NIC_PATH}/vfio-dev/vfio0`,
        `remove ${VFIO}/3`,
        `unbind ${NIC_PATH}`,
      ])
    }
  })

  it('know no vfio-dev before 6.1', () => {
    const machine = testMachine({ release: '5.18.0' })
    bind(machine, NIC)
    expect(machine.events).toEqual([`add ${VFIO}/3`, `bind ${NIC_PATH}`])
  })

  it('carry the device number of a group', () => {
    const machine = testMachine()
    const seen: string[] = []
    machine.context.uevents.listen(({ variables }) => {
      seen.push(variables.map(([key, value]) => `${key}=${value}`).join(' '))
    })
    bind(machine, NIC)
    expect(seen[0]).toMatch(/SUBSYSTEM=vfio MAJOR=245 MINOR=0 DEVNAME=vfio\/3/)
  })
})

describe('a group file', () => {
  it('can be open once; passing it on is fine', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const other = new Program(machine, { pid: 101 })
    const group = program.group(NIC)
    expect(errnoOf(() => other.group(NIC))).toBe('EBUSY')
    const passed = other.process.install(program.process.file(group))
    program.exit()
    expect(errnoOf(() => program.group(NIC))).toBe('EBUSY')
    other.close(passed)
    expect(errnoOf(() => program.group(NIC))).toBe('ok')
  })

  it('never changes a binding by being opened, however often', () => {
    const machine = testMachine()
    bind(machine, NIC)
    bind(machine, NIC_B, machine.native)
    const program = new Program(machine)
    const drivers = (): unknown[] =>
      [NIC, NIC_B, EDU, NVME].map((address) => deviceAt(machine, address).driver?.name ?? null)
    const before = drivers()
    const events = machine.events.length
    for (let n = 0; n < 50; n += 1) {
      const group = program.group(NIC)
      errnoOf(() => program.group(NIC))
      program.close(group)
      program.close(program.open('/dev/vfio/vfio'))
    }
    expect(drivers()).toEqual(before)
    expect(machine.events.length).toBe(events)
    expect(machine.iommu.groups.get(3)?.owner).toBeNull()
  })

  it('GET_STATUS: wants 8 bytes, tells viability and whether there is a container', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const group = program.group(NIC)
    const status = (): number => {
      const argument = words(8, 0xffff)
      program.ioctl(group, REQUEST.groupGetStatus, argument)
      return new DataView(argument.buffer).getUint32(4, true)
    }
    expect(errnoOf(() => program.ioctl(group, REQUEST.groupGetStatus, words(7, 0)))).toBe('EINVAL')
    expect(errnoOf(() => program.ioctl(group, REQUEST.groupGetStatus, words(8)))).toBe('EFAULT')
    expect(errnoOf(() => program.ioctl(group, REQUEST.groupGetStatus, 0))).toBe('EFAULT')
    expect(status()).toBe(1)
    bind(machine, NIC_B, machine.native)
    expect(status()).toBe(0)
    unbind(machine, NIC_B)
    bind(machine, NIC_B, machine.stub)
    expect(status()).toBe(1)
    program.setContainer(group, program.open('/dev/vfio/vfio'))
    expect(status()).toBe(3)
    expect(errnoOf(() => program.ioctl(group, 0x3b99))).toBe('ENOTTY')
  })

  it('SET_CONTAINER: bad descriptor, other kinds of files, twice', () => {
    for (const [release, wrong] of [
      ['6.1.192', 'EINVAL'],
      ['6.12.117', 'EBADFD'],
    ] as const) {
      const machine = testMachine({ release })
      bind(machine, NIC)
      const program = new Program(machine)
      const group = program.group(NIC)
      expect(errnoOf(() => program.setContainer(group, 99))).toBe('EBADF')
      expect(errnoOf(() => program.setContainer(group, group))).toBe(wrong)
      const other = program.process.install(new EventCounter())
      expect(errnoOf(() => program.setContainer(group, other))).toBe(wrong)
      const container = program.open('/dev/vfio/vfio')
      program.setContainer(group, container)
      expect(errnoOf(() => program.setContainer(group, container))).toBe('EINVAL')
      expect(errnoOf(() => program.setContainer(group, 99))).toBe('EBADF')
    }
  })

  it('UNSET_CONTAINER: without one, with devices open, and then', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const { group, device, container } = program.drive(NIC)
    const unset = (): string => errnoOf(() => program.ioctl(group, REQUEST.groupUnsetContainer))
    expect(unset()).toBe('EBUSY')
    program.close(device)
    expect(unset()).toBe('ok')
    expect(unset()).toBe('EINVAL')
    // The container is as new: no IOMMU, no groups.
    expect(errnoOf(() => program.ioctl(container, REQUEST.setIommu, 3))).toBe('EINVAL')
    expect(errnoOf(() => program.ioctl(container, REQUEST.iommuGetInfo, words(24)))).toBe('EINVAL')
    program.setContainer(group, container)
    expect(errnoOf(() => program.ioctl(container, REQUEST.setIommu, 1))).toBe('ok')
  })

  it('GET_DEVICE_FD: needs an IOMMU, and a name in the group on VFIO', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const group = program.group(NIC)
    const device = (name: string): string => errnoOf(() => program.device(group, name))
    expect(device(NIC)).toBe('EINVAL')
    expect(device(EDU)).toBe('ENODEV')
    const container = program.open('/dev/vfio/vfio')
    program.setContainer(group, container)
    expect(device(NIC)).toBe('EINVAL')
    program.ioctl(container, REQUEST.setIommu, 3)
    expect(device(NIC_B)).toBe('ENODEV')
    expect(device(`${NIC}x`)).toBe('ENODEV')
    expect(device('0000:01:00')).toBe('ENODEV')
    expect(device(`${NIC} color=red`)).toBe('EINVAL')
    expect(device(`${NIC} vf_token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001`)).toBe('EINVAL')
    expect(device(`${NIC} vf_token=83b8`)).toBe('EINVAL')
    expect(device(NIC)).toBe('ok')
    expect(device(`${NIC} `)).toBe('ok')
    const unterminated = text(NIC).slice(0, -1)
    const get = (): number => program.ioctl(group, REQUEST.groupGetDeviceFd, unterminated)
    expect(errnoOf(get)).toBe('EFAULT')
  })
})

describe('what keeps a group alive', () => {
  it('device files do, when the group is closed early; the last one undoes all', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const { container, group, device } = program.drive(NIC)
    const second = program.device(group, NIC)
    const memory = program.memory(1)
    program.map(container, memory.address, 0, 1)
    program.close(group)
    program.close(container)
    const iommuGroup = machine.iommu.groups.get(3)
    expect(errnoOf(() => program.group(NIC))).toBe('EBUSY')
    expect(iommuGroup?.domain?.physicalPage(0)).not.toBe(-1)
    program.close(device)
    expect(program.config(second, 0, 2)).toBe(0x8086)
    program.close(second)
    expect(iommuGroup?.owner).toBeNull()
    expect(iommuGroup?.domain).toBe(iommuGroup?.defaultDomain)
    expect(program.process.memory.lockedPages).toBe(0)
    expect(errnoOf(() => program.group(NIC))).toBe('ok')
  })

  it('the end of a process gives everything back', () => {
    const machine = testMachine()
    const { memory } = machine.context
    bind(machine, NIC)
    const before = memory.usedPages
    const program = new Program(machine)
    const { container } = program.drive(NIC)
    program.map(container, program.memory(64).address, 0x10000, 64)
    expect(memory.usedPages).toBeGreaterThan(before + 64)
    program.exit()
    expect(memory.usedPages).toBe(before)
    expect(machine.iommu.groups.get(3)?.ownerCount).toBe(0)
  })
})

describe('unbinding a device in use', () => {
  it('asks the user, waits for the last device file, and nobody gets in meanwhile (6.12)', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const { group, device } = program.drive(NIC)
    const { counter, descriptor } = program.counter()
    program.ioctl(device, REQUEST.deviceSetIrqs, words(24, 0x24, 4, 0, 1, descriptor))
    machine.context.log.length = 0
    machine.events.length = 0
    const ended = startUnbind(machine, NIC)
    expect(ended()).toBe(false)
    expect(counter.take()).toBe(1)
    expect(machine.context.log).toEqual([`vfio-pci ${NIC}: Relaying device request to user (#0)`])
    expect(machine.events).toEqual([`remove ${NIC_PATH}/vfio-dev/vfio0`])
    expect(errnoOf(() => program.device(group, NIC))).toBe('ENODEV')
    // The lock of the device is held: a reset cannot have it.
    expect(errnoOf(() => program.ioctl(device, REQUEST.deviceReset))).toBe('EAGAIN')
    program.close(device)
    expect(ended()).toBe(true)
    expect(machine.events.slice(1)).toEqual([`remove ${VFIO}/3`, `unbind ${NIC_PATH}`])
  })

  it('lets who has it open it again until 6.5, and says so when there is nobody to ask', () => {
    const machine = testMachine({ release: '6.1.192' })
    bind(machine, NIC)
    const program = new Program(machine)
    const { group, device } = program.drive(NIC)
    machine.context.log.length = 0
    machine.events.length = 0
    const ended = startUnbind(machine, NIC)
    expect(machine.context.log).toEqual([
      `vfio-pci ${NIC}: No device request channel registered, blocked until released by user`,
    ])
    expect(machine.events).toEqual([])
    const again = program.device(group, NIC)
    program.close(device)
    expect(ended()).toBe(false)
    program.close(again)
    expect(ended()).toBe(true)
  })

  it('does not wait for the group file, which has nothing behind it afterwards', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const { container, groups } = program.container([NIC])
    const [group = -1] = groups
    unbind(machine, NIC)
    const status = (): number => program.ioctl(group, REQUEST.groupGetStatus, words(8, 0))
    expect(errnoOf(status)).toBe('ENODEV')
    expect(errnoOf(() => program.setContainer(group, container))).toBe('ENODEV')
    expect(errnoOf(() => program.device(group, NIC))).toBe('ENODEV')
    expect(errnoOf(() => program.ioctl(container, REQUEST.setIommu, 3))).toBe('EINVAL')
    bind(machine, NIC)
    expect(errnoOf(() => program.group(NIC))).toBe('ok')
  })

  it('keeps the number of a group whose members all left, as long as VFIO shows it', () => {
    const machine = testMachine()
    bind(machine, EDU)
    const id = groupOf(machine, EDU)
    runNow(removeDevice(machine.context, deviceAt(machine, EDU)))
    expect(machine.iommu.groups.has(id)).toBe(false)
    expect(nodes(machine)).toEqual(['vfio'])
  })
})

describe('ownership of a group with two functions (9.2)', () => {
  for (const release of ['6.1.192', '6.12.117']) {
    it(`goes to whoever comes first, on ${release}`, () => {
      const machine = testMachine({ release })
      const program = new Program(machine)
      bind(machine, NIC)
      bind(machine, NIC_B, machine.native)
      const group = program.group(NIC)
      const container = program.open('/dev/vfio/vfio')
      expect(errnoOf(() => program.setContainer(group, container))).toBe('EPERM')
      unbind(machine, NIC_B)
      expect(errnoOf(() => program.setContainer(group, container))).toBe('ok')
      expect(errnoOf(() => bind(machine, NIC_B, machine.native))).toBe('EBUSY')
      expect(deviceAt(machine, NIC_B).driver).toBeNull()
      expect(errnoOf(() => bind(machine, NIC_B, machine.stub))).toBe('ok')
      unbind(machine, NIC_B)
      program.exit()
      expect(errnoOf(() => bind(machine, NIC_B, machine.native))).toBe('ok')
    })
  }

  it('was looked at only when a device was wanted, up to 5.18', () => {
    const machine = testMachine({ release: '5.18.0' })
    const program = new Program(machine)
    bind(machine, NIC)
    bind(machine, NIC_B, machine.native)
    const { groups } = program.container([NIC])
    const [group = -1] = groups
    const status = words(8, 0)
    program.ioctl(group, REQUEST.groupGetStatus, status)
    expect(status[4]).toBe(2)
    expect(errnoOf(() => program.device(group, NIC))).toBe('EINVAL')
    unbind(machine, NIC_B)
    program.ioctl(group, REQUEST.groupGetStatus, status)
    expect(status[4]).toBe(3)
    expect(errnoOf(() => program.device(group, NIC))).toBe('ok')
  })
})
