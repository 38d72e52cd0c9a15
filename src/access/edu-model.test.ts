/** Everything that a driver of the teaching device needs, on the model. */
import { beforeEach, describe, expect, it } from 'vitest'
import { openModel } from '../open/model.ts'
import type { MachineText, ModelMachine } from '../open/model.ts'
import type { Context } from './context.ts'
import { openContext } from './open-context.ts'
import { DeviceRemovedError } from './device-removed-error.ts'

const EDU = '0000:01:00.0'
const OTHER = '0000:02:00.0'
const MACHINE: MachineText = {
  iommu: { kind: 'intel' },
  buses: [
    {
      devices: [
        { kind: 'root-port', below: [{ kind: 'edu', driver: 'vfio-pci' }] },
        { kind: 'root-port', below: [{ kind: 'edu', driver: 'vfio-pci' }] },
        { kind: 'root-port', below: [{ kind: 'nvme' }] },
      ],
    },
  ],
}

let machine: ModelMachine

function groupOf(address: string): string {
  return machine.kernel.link(`/sys/bus/pci/devices/${address}/iommu_group`).split('/').at(-1) ?? ''
}

beforeEach(async () => {
  machine = await openModel(MACHINE)
})

/** From the memory to the device, or back. */
function dma(context: Context, address: string, from: number, to: number, command: number): void {
  const bar = context.device(address).bar(0)
  bar.write64(0x80, BigInt(from))
  bar.write64(0x88, BigInt(to))
  bar.write64(0x90, 256n)
  bar.write32(0x98, command)
}

describe('a context of one group', () => {
  it('computes, moves memory both ways and is told by an interrupt', async () => {
    const context = await openContext(machine, [groupOf(EDU)])
    const device = context.device(EDU)
    expect(device.config.read16(0)).toBe(0x1234)
    const bar = device.bar(0)
    expect(bar.read32(0)).toBe(0x0100_00ed)
    bar.write32(4, 0x1234_5678)
    expect(bar.read32(4)).toBe(~0x1234_5678 >>> 0)
    device.enable()
    const interrupts = device.interrupts('msi')
    const vector = interrupts.vector(0)
    bar.write32(0x20, 0x80)
    bar.write32(8, 5)
    expect(await vector.next()).toBe(1)
    expect(bar.read32(8)).toBe(120)
    const memory = context.allocate(4096)
    const { iova } = context.map(memory)
    memory.bytes.set([1, 2, 3, 4])
    dma(context, EDU, iova, 0x4_0000, 1)
    memory.bytes.fill(0)
    dma(context, EDU, 0x4_0000, iova, 3)
    expect([...memory.bytes.subarray(0, 4)]).toEqual([1, 2, 3, 4])
    await context.close()
    memory.release()
    expect(machine.faults()).toEqual([])
  })

  it('reaches nothing that is not mapped, and the IOMMU tells', async () => {
    const context = await openContext(machine, [groupOf(EDU)])
    context.device(EDU).enable()
    const memory = context.allocate(4096)
    const mapping = context.map(memory, { iova: 0x10_0000 })
    memory.bytes.fill(7)
    context.unmap(mapping)
    dma(context, EDU, 0x4_0000, 0x10_0000, 3)
    expect(memory.bytes[0]).toBe(7)
    expect(machine.faults()).toMatchObject([{ address: 0x10_0000, write: true }])
    await context.close()
  })

  it('keeps memory as long as it is mapped, and gives everything back', async () => {
    const context = await openContext(machine, [groupOf(EDU)])
    const memory = context.allocate(5000)
    expect(memory.size).toBe(8192)
    context.map(memory)
    expect(() => {
      memory.release()
    }).toThrow('is mapped still')
    const bar = context.device(EDU).bar(0)
    await context.close()
    await context.close()
    memory.release()
    expect(() => bar.read32(0)).toThrow(DeviceRemovedError)
    const again = await openContext(machine, [groupOf(EDU)])
    expect(again.mappings).toEqual([])
    await again.close()
  })

  it('maps 100,000 times without leaving anything', async () => {
    const context = await openContext(machine, [groupOf(EDU)])
    const memory = context.allocate(4096)
    const seen = new Set<number>()
    for (let n = 0; n < 100_000; n++) {
      const mapping = context.map(memory)
      seen.add(mapping.iova)
      context.unmap(mapping)
    }
    expect(seen.size).toBe(1)
    await context.close()
    memory.release()
  })
})

describe('a context of several groups', () => {
  it('is one address space: mapped once, reached by all, also by those that come later', async () => {
    const context = await openContext(machine, [groupOf(EDU)])
    const memory = context.allocate(4096)
    const { iova } = context.map(memory)
    await context.addGroup(groupOf(OTHER))
    for (const address of [EDU, OTHER]) context.device(address).enable()
    memory.bytes.set([9, 8, 7])
    dma(context, EDU, iova, 0x4_0000, 1)
    dma(context, OTHER, iova, 0x4_0000, 1)
    memory.bytes.fill(0)
    dma(context, OTHER, 0x4_0000, iova, 3)
    expect([...memory.bytes.subarray(0, 3)]).toEqual([9, 8, 7])
    expect(new Set(machine.contexts().filter(({ use }) => use === 'user')).size).toBe(1)
    await context.removeGroup(groupOf(OTHER))
    expect(context.groups).toEqual([groupOf(EDU)])
    await context.close()
    expect(machine.faults()).toEqual([])
  })
})

describe('refusals', () => {
  it('name the group, the reason and the next command', async () => {
    const nvme = groupOf('0000:03:00.0')
    await expect(openContext(machine, [nvme])).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining(`no member of group ${nvme} is on a VFIO driver`) as string,
      hint: `isogroup claim group:${nvme}`,
    })
    const user = machine.as({ uid: 1000 })
    await expect(openContext({ kernel: user }, [groupOf(EDU)])).rejects.toMatchObject({
      code: 'permission',
    })
    const context = await openContext(machine, [groupOf(EDU)])
    await expect(openContext(machine, [groupOf(EDU)])).rejects.toMatchObject({
      code: 'refused',
    })
    expect(() => context.device('0000:03:00.0')).toThrow('is no member of group')
    expect(() => context.map(context.allocate(4096), { iova: 0xfee0_0000 })).toThrow('is not free')
    expect(() => context.map(context.allocate(4096), { iova: 12 })).toThrow('no multiple')
    expect(() => context.device(EDU).bar(3)).toThrow('nothing behind')
    expect(() => context.device(EDU).bar(0).read32(2)).toThrow('no place in a region')
    await context.close()
  })

  it('tell the limit of locked memory, with the command that raises it', async () => {
    await machine.kernel.setOwner(`/dev/vfio/${groupOf(EDU)}`, 1000, 1000)
    const user = machine.as({ uid: 1000, memlockLimit: 2 ** 20 })
    const context = await openContext({ kernel: user }, [groupOf(EDU)])
    context.map(context.allocate(2 ** 19))
    const more = context.allocate(2 ** 20)
    expect(() => context.map(more)).toThrow('it would be 2 MiB')
    expect(context.mappings).toHaveLength(1)
    await context.close()
  })
})
