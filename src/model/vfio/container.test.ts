import { describe, expect, it } from 'vitest'
import { opened } from './containers.case.ts'
import { bind, errnoOf, NIC, Program, testMachine, VTD, words } from './machine.case.ts'
import { REQUEST } from './vfio-abi.ts'

describe('a container', () => {
  it('answers without a group: version and extensions, and EINVAL to all else', () => {
    const program = new Program(testMachine())
    const container = program.open('/dev/vfio/vfio')
    const ioctl = (request: number, argument: number | Uint8Array = 0): string =>
      errnoOf(() => program.ioctl(container, request, argument))
    expect(program.ioctl(container, REQUEST.getApiVersion)).toBe(0)
    const extensions = Array.from({ length: 12 }, (_, n) =>
      program.ioctl(container, REQUEST.checkExtension, n),
    )
    expect(extensions).toEqual([0, 1, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0])
    expect(ioctl(REQUEST.setIommu, 3)).toBe('EINVAL')
    expect(ioctl(REQUEST.iommuGetInfo, words(24))).toBe('EINVAL')
    expect(ioctl(REQUEST.iommuMapDma, new Uint8Array(32))).toBe('EINVAL')
    expect(ioctl(0x3b99)).toBe('EINVAL')
  })

  it('SET_IOMMU: unknown types, types that are none, and once only', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const container = program.open('/dev/vfio/vfio')
    program.setContainer(program.group(NIC), container)
    const set = (type: number): string =>
      errnoOf(() => program.ioctl(container, REQUEST.setIommu, type))
    expect(set(2)).toBe('ENODEV')
    expect(set(9)).toBe('EINVAL')
    expect(set(3)).toBe('ok')
    expect(set(3)).toBe('EINVAL')
    expect(errnoOf(() => program.ioctl(container, 0x3b99))).toBe('ENOTTY')
    // Now only this backend is asked: addresses can be updated, no-snoop cannot be refused.
    expect(program.ioctl(container, REQUEST.checkExtension, 10)).toBe(1)
    expect(program.ioctl(container, REQUEST.checkExtension, 4)).toBe(0)
    const snooping = opened({ units: [{ cap: VTD.cap, ecap: 'f00fda' }] })
    expect(snooping.program.ioctl(snooping.container, REQUEST.checkExtension, 4)).toBe(1)
  })

  it('SET_IOMMU: needs isolated interrupts, unless an administrator says otherwise', () => {
    const machine = testMachine({ interruptRemapping: false })
    bind(machine, NIC)
    const program = new Program(machine)
    const container = program.open('/dev/vfio/vfio')
    program.setContainer(program.group(NIC), container)
    const set = (): string => errnoOf(() => program.ioctl(container, REQUEST.setIommu, 3))
    expect(set()).toBe('EPERM')
    expect(machine.context.log.at(-1)).toBe(
      'vfio_iommu_type1_attach_group: No interrupt remapping support.  Use the module param "allow_unsafe_interrupts" to enable VFIO IOMMU support on this platform',
    )
    expect(machine.iommu.groups.get(3)?.domain?.type).toBe('blocked')
    machine.vfio.parameters.allowUnsafeInterrupts.set('1\n')
    expect(set()).toBe('ok')
  })

  it('blocks all DMA between SET_CONTAINER and SET_IOMMU', () => {
    const machine = testMachine()
    bind(machine, NIC)
    const program = new Program(machine)
    const container = program.open('/dev/vfio/vfio')
    const group = machine.iommu.groups.get(3)
    expect(group?.domain?.type).toBe('DMA-FQ')
    program.setContainer(program.group(NIC), container)
    expect(group?.domain?.type).toBe('blocked')
    program.ioctl(container, REQUEST.setIommu, 3)
    expect(group?.domain?.type).toBe('unmanaged')
  })

  it('refuses groups with memory that firmware keeps mapped: at once since 6.6, before on SET_IOMMU', () => {
    const reserved = [{ at: NIC, start: '0x7f000000', end: '0x7fffffff', kind: 'direct' }] as const
    for (const [release, join, set] of [
      ['6.12.117', 'EINVAL', 'EINVAL'],
      ['6.1.192', 'ok', 'EPERM'],
    ] as const) {
      const machine = testMachine({ release, reserved })
      bind(machine, NIC)
      const program = new Program(machine)
      const container = program.open('/dev/vfio/vfio')
      const group = program.group(NIC)
      expect(errnoOf(() => program.setContainer(group, container))).toBe(join)
      expect(errnoOf(() => program.ioctl(container, REQUEST.setIommu, 3))).toBe(set)
      // A claim that failed leaves nothing behind.
      program.exit()
      expect(machine.iommu.groups.get(3)?.owner).toBeNull()
    }
  })
})
