import { describe, expect, it } from 'vitest'
import { runtimeStatus } from '../driver-core/runtime-power.ts'
import { enableSriov } from '../pci/sriov.ts'
import { runNow } from '../task.ts'
import {
  bind,
  deviceAt,
  EDU,
  errnoOf,
  NIC,
  NIC_B,
  NVME,
  PORT,
  Program,
  type TestMachine,
  testMachine,
  unbind,
  words,
} from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

const VF = '0000:03:00.1'

/** Virtual functions of the NVMe controller, as writing sriov_numvfs makes them. */
function makeVirtual(machine: TestMachine, count: number): string {
  return errnoOf(() => {
    const task = machine.vfioPci.sriovConfigure?.(deviceAt(machine, NVME), count)
    if (task !== undefined) runNow(task)
  })
}

describe('vfio-pci', () => {
  it('takes nothing by itself, only by override or an id that somebody gave', () => {
    const machine = testMachine()
    const { operations } = machine.pci.bus
    expect(operations.match(deviceAt(machine, NIC), machine.vfioPci)).toBe(false)
    expect(errnoOf(() => bind(machine, NIC))).toBe('ok')
    const given = testMachine({ commandLine: 'vfio-pci.ids=8086:10d3,1234:11e8,bad' })
    expect(deviceAt(given, NIC).driver?.name).toBe('vfio-pci')
    expect(deviceAt(given, EDU).driver?.name).toBe('vfio-pci')
    expect(deviceAt(given, NVME).driver).toBeNull()
    expect(given.context.log).toContain(
      'vfio_pci: add [8086:10d3[ffffffff:ffffffff]] class 0x000000/00000000',
    )
  })

  it('refuses bridges, denied devices and functions without a group', () => {
    const machine = testMachine()
    expect(errnoOf(() => bind(machine, PORT))).toBe('EINVAL')
    expect(machine.context.log.at(-1)).toBe(
      `vfio-pci ${PORT}: probe with driver vfio-pci failed with error -22`,
    )
    deviceAt(machine, EDU).iommuGroup = null
    expect(errnoOf(() => bind(machine, EDU))).toBe('EINVAL')
    expect(runtimeStatus(deviceAt(machine, EDU).power)).toBe('active')
    expect(deviceAt(machine, EDU).power.control).toBe('on')
    expect(machine.vfio.nodes().list()).toEqual(['vfio'])
    Object.assign(deviceAt(machine, NIC), { device: 0x37c8 })
    expect(errnoOf(() => bind(machine, NIC))).toBe('EINVAL')
    expect(machine.context.log.at(-2)).toMatch('8086:37c8 exists in vfio-pci device denylist')
  })

  it('lets an idle device sleep in D3hot, wakes it for the user, and keeps it awake afterwards', () => {
    const machine = testMachine()
    const device = deviceAt(machine, NIC)
    expect(device.powerState).not.toBe('D3hot')
    bind(machine, NIC)
    expect([device.power.control, runtimeStatus(device.power), device.powerState]).toEqual([
      'auto',
      'suspended',
      'D3hot',
    ])
    const program = new Program(machine)
    const { device: file } = program.drive(NIC)
    expect([runtimeStatus(device.power), device.powerState]).toEqual(['active', 'D0'])
    program.close(file)
    expect([runtimeStatus(device.power), device.powerState]).toEqual(['suspended', 'D3hot'])
    unbind(machine, NIC)
    expect([device.power.control, runtimeStatus(device.power)]).toEqual(['on', 'active'])
    expect(device.power.usageCount).toBe(0)
  })

  it('leaves an idle device in D0 with disable_idle_d3, which counts when the module is loaded', () => {
    const machine = testMachine({ commandLine: 'vfio-pci.disable_idle_d3=1' })
    bind(machine, NIC)
    expect(deviceAt(machine, NIC).powerState).toBe('D0')
    unbind(machine, NIC)
    expect(deviceAt(machine, NIC).power.usageCount).toBe(0)
    const late = testMachine()
    late.vfio.parameters.disableIdleD3.set('Y')
    bind(late, NIC)
    expect(deviceAt(late, NIC).powerState).toBe('D3hot')
  })
})

describe('module parameters', () => {
  it('read and parse as those of a kernel', () => {
    const { all } = testMachine().vfio.parameters
    const find = (name: string): (typeof all)[number] => {
      const found = all.find((parameter) => parameter.name === name)
      if (found === undefined) throw new Error(name)
      return found
    }
    expect(all.map((one) => [one.module, one.name, one.mode, one.get()])).toEqual([
      ['vfio_iommu_type1', 'allow_unsafe_interrupts', 0o644, 'N\n'],
      ['vfio_iommu_type1', 'disable_hugepages', 0o644, 'N\n'],
      ['vfio_iommu_type1', 'dma_entry_limit', 0o644, '65535\n'],
      ['vfio_pci', 'disable_denylist', 0o444, 'N\n'],
      ['vfio_pci', 'disable_idle_d3', 0o644, 'N\n'],
      ['vfio_pci', 'enable_sriov', 0o644, 'N\n'],
      ['vfio_pci', 'nointxmask', 0o644, 'N\n'],
    ])
    const limit = find('dma_entry_limit')
    limit.set('0x10\n')
    expect(limit.get()).toBe('16\n')
    limit.set('010')
    expect(limit.get()).toBe('8\n')
    expect(errnoOf(() => limit.set('-1'))).toBe('EINVAL')
    expect(errnoOf(() => limit.set('4294967296'))).toBe('ERANGE')
    const flag = find('enable_sriov')
    flag.set('on')
    expect(flag.get()).toBe('Y\n')
    expect(errnoOf(() => flag.set('maybe'))).toBe('EINVAL')
    expect(flag.get()).toBe('Y\n')
  })
})

describe('virtual functions', () => {
  it('need enable_sriov, and are captured before any driver is asked', () => {
    const machine = testMachine()
    bind(machine, NVME)
    expect(makeVirtual(machine, 1)).toBe('ENOENT')
    machine.vfio.parameters.enableSriov.set('1')
    expect(makeVirtual(machine, 1)).toBe('ok')
    const virtual = deviceAt(machine, VF)
    expect(virtual.driver?.name).toBe('vfio-pci')
    expect(virtual.driverOverride).toBe('vfio-pci')
    expect(machine.context.log).toContain(
      `vfio-pci ${NVME}: Captured SR-IOV VF ${VF} driver_override`,
    )
    // A sleeping physical function would take them down.
    expect(deviceAt(machine, NVME).powerState).toBe('D0')
    unbind(machine, VF)
    bind(machine, VF, machine.stub)
    expect(machine.context.log.at(-1)).toBe(
      `vfio-pci ${NVME}: VF ${VF} bound to driver pci-stub while PF bound to driver vfio-pci`,
    )
    unbind(machine, NVME)
    expect(machine.pci.device(VF)).toBeUndefined()
    expect(deviceAt(machine, NVME).power.usageCount).toBe(0)
  })

  it('keep their physical function from vfio-pci', () => {
    const machine = testMachine()
    runNow(enableSriov(machine.pci, deviceAt(machine, NVME), 2))
    expect(errnoOf(() => bind(machine, NVME))).toBe('EBUSY')
    expect(machine.context.log.at(-1)).toMatch('failed with error -16')
    expect(machine.context.log.at(-2)).toBe(
      `vfio-pci ${NVME}: Cannot bind to PF with SR-IOV enabled`,
    )
  })

  it('show ids and BARs that they do not have themselves, and no pin', () => {
    const machine = testMachine()
    runNow(enableSriov(machine.pci, deviceAt(machine, NVME), 1))
    bind(machine, VF)
    const program = new Program(machine)
    const { device } = program.drive(VF)
    expect(deviceAt(machine, VF).hardware.config.read(0, 4)).toBe(0xffffffff)
    expect(program.config(device, 0, 4)).toBe(0x00101b36)
    expect(program.config(device, 4, 2) & 2).toBe(2)
    expect(program.config(device, 0x3d, 1)).toBe(0)
    program.setConfig(device, 0x10, 4, 0xffffffff)
    expect(program.config(device, 0x10, 4) & 0xf).toBe(4)
    expect(program.config(device, 0x10, 4) >>> 4).not.toBe(0xfffffff)
  })

  it('are opened with the token of their physical function, once it is in user hands', () => {
    const machine = testMachine()
    const uuid = '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001'
    bind(machine, NVME)
    machine.vfio.parameters.enableSriov.set('1')
    makeVirtual(machine, 1)
    const program = new Program(machine)
    const { groups } = program.container([NVME, VF])
    const [pf = -1, vf = -1] = groups
    const open = (group: number, name: string): string => errnoOf(() => program.device(group, name))
    // Nobody knows the random one.
    expect(open(vf, VF)).toBe('EACCES')
    expect(open(vf, `${VF} vf_token=${uuid}`)).toBe('EACCES')
    expect(open(pf, `${NVME} vf_token=${uuid}`)).toBe('ok')
    expect(open(vf, VF)).toBe('EACCES')
    expect(machine.context.log.at(-1)).toBe(`vfio-pci ${VF}: VF token required to access device`)
    expect(open(vf, `${VF} vf_token=${uuid.replace('8', '9')}`)).toBe('EACCES')
    expect(open(vf, `${VF} vf_token=${uuid.toUpperCase()}`)).toBe('ok')
    // While a virtual function is open, the physical one wants the token too.
    expect(open(pf, NVME)).toBe('EACCES')
    expect(open(pf, `${NVME} vf_token=${uuid}`)).toBe('ok')
    expect(open(pf, `${NVME} vf_token=${uuid} vf_token=${uuid}`)).toBe('EINVAL')
  })

  it('need no token, and take none, when the physical function has another driver', () => {
    const machine = testMachine()
    runNow(enableSriov(machine.pci, deviceAt(machine, NVME), 1))
    bind(machine, VF)
    const program = new Program(machine)
    const { groups } = program.container([VF])
    const [group = -1] = groups
    const name = `${VF} vf_token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001`
    expect(errnoOf(() => program.device(group, name))).toBe('EINVAL')
    expect(errnoOf(() => program.device(group, VF))).toBe('ok')
  })

  it('get their token from the user of the physical function as well', () => {
    const machine = testMachine()
    bind(machine, NVME)
    bind(machine, NIC)
    const program = new Program(machine)
    const { device } = program.drive(NVME)
    const feature = (file: number, flags: number, argsz = 24): string =>
      errnoOf(() => program.ioctl(file, REQUEST.deviceFeature, words(argsz, flags, 1, 2, 3, 4)))
    expect(feature(device, 0x60000)).toBe('ok')
    expect(feature(device, 0x50000)).toBe('EINVAL')
    expect(feature(device, 0x10000)).toBe('EINVAL')
    expect(feature(device, 0x20000, 23)).toBe('EINVAL')
    expect(feature(device, 0x20000)).toBe('ok')
    const { device: nic } = program.drive(NIC)
    expect(feature(nic, 0x60000)).toBe('ENOTTY')
    expect(errnoOf(() => bind(machine, NIC_B))).toBe('ok')
  })
})
