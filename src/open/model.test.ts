/** The library's entry for the model: processes, plugging, DMA from the device's side, what is to be seen. */
import { describe, expect, it } from 'vitest'
import { KernelError, machineNames, type ModelMachine, openModel } from './model.ts'

const NIC = '0000:03:00.0'
const PORT = '0000:00:1c.1'
/** Card with two functions in one group: graphics and sound. */
const CARD = ['0000:01:00.0', '0000:01:00.1'] as const

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action()
    return 'ok'
  } catch (error) {
    if (error instanceof KernelError) return error.code
    throw error
  }
}

async function write(machine: ModelMachine, path: string, text: string): Promise<void> {
  await machine.kernel.write(path, new TextEncoder().encode(text), 1000)
}

describe('openModel()', () => {
  it('boots a machine by its name, behind the ports of a real host', async () => {
    expect(machineNames()).toContain('desktop')
    const machine = await openModel('desktop')
    expect(machine.name).toBe('desktop')
    expect(machine.kernel.list(`/sys/bus/pci/devices/${NIC}/iommu_group/devices`)).toEqual([NIC])
    const { groups } = machine.host.snapshot()
    expect(groups.known && groups.value).toHaveLength(9)
  })

  it('boots a machine that a program describes, with the defaults of machine files', async () => {
    const machine = await openModel({ buses: [{ devices: [{ kind: 'edu' }] }] })
    expect(machine.name).toBe('machine')
    expect(machine.kernel.list('/sys/bus/pci/devices')).toEqual(['0000:00:00.0'])
    expect(machine.kernel.list('/sys/kernel/iommu_groups')).toEqual([])
  })

  it('names the place of a mistake', async () => {
    const wrong = openModel({ buses: [{ devices: [{ kind: 'unicorn' }] }] })
    await expect(wrong).rejects.toThrow('buses[0].devices[0].kind: found "unicorn"')
    await expect(openModel('unicorn')).rejects.toThrow('there is no built-in machine "unicorn"')
  })

  it('gives other people their own view', async () => {
    const machine = await openModel('desktop')
    const guest = machine.as({ uid: 1000 })
    const config = `/sys/bus/pci/devices/${NIC}/config`
    expect(machine.kernel.read(config)).toHaveLength(4096)
    expect(guest.read(config)).toHaveLength(64)
    expect(await codeOf(() => guest.write(config, new Uint8Array(1), 1000))).toBe('EACCES')
  })

  it('closes what a process had open when it is killed', async () => {
    const machine = await openModel('desktop')
    await write(machine, `/sys/bus/pci/devices/${NIC}/driver_override`, 'vfio-pci\n')
    await write(machine, `/sys/bus/pci/devices/${NIC}/driver/unbind`, NIC)
    await write(machine, '/sys/bus/pci/drivers_probe', NIC)
    const id = machine.kernel.link(`/sys/bus/pci/devices/${NIC}/iommu_group`).split('/').at(-1)
    const path = `/dev/vfio/${id ?? ''}`
    const user = machine.as({ uid: 0 })
    await user.open(path)
    expect(await codeOf(() => machine.kernel.open(path))).toBe('EBUSY')
    await user.kill()
    expect(await codeOf(() => machine.kernel.open(path))).toBe('ok')
  })
})

describe('plugging', () => {
  it('takes the free slot of a port, and tells the address', async () => {
    const machine = await openModel('desktop')
    expect(await codeOf(() => machine.plug('nvme', PORT))).toBe('ENOSPC')
    await machine.pull(NIC)
    expect(machine.kernel.exists(`/sys/bus/pci/devices/${NIC}`)).toBe(false)
    expect(await machine.plug('nvme', PORT)).toBe(NIC)
    expect(machine.kernel.text(`/sys/bus/pci/devices/${NIC}/class`)).toBe('0x010802\n')
  })

  it('leaves slot 0 of other buses free, whose number a bridge may use', async () => {
    const machine = await openModel({
      buses: [{ devices: [{ kind: 'host-bridge' }, { kind: 'pcie-pci-bridge' }] }],
    })
    expect(await machine.plug('pci-nic', '0000:00:01.0')).toBe('0000:01:01.0')
    expect(await machine.plug('pci-nic', '0000:00:01.0')).toBe('0000:01:02.0')
    expect(await machine.plug('edu', '0000:00')).toBe('0000:00:02.0')
  })

  it('says which kind, port or device there is not', async () => {
    const machine = await openModel('desktop')
    expect(await codeOf(() => machine.plug('unicorn', PORT))).toBe('ENODEV')
    expect(await codeOf(() => machine.plug('nvme', '0000:77:00.0'))).toBe('ENODEV')
    expect(await codeOf(() => machine.plug('nvme', NIC))).toBe('ENODEV')
    expect(await codeOf(() => machine.pull('0000:77:00.0'))).toBe('ENODEV')
    expect(await codeOf(() => machine.device('0000:77:00.0'))).toBe('ENODEV')
  })
})

describe('a device of a model', () => {
  it('reads and writes what its driver shares with it, until that ends', async () => {
    const machine = await openModel('desktop')
    const nic = machine.device(NIC)
    const memory = nic.driverMemory(5000)
    expect(memory.bytes).toHaveLength(8192)
    expect(nic.write(memory.address + 4094, Uint8Array.of(1, 2, 3, 4))).toBe(true)
    expect([...memory.bytes.subarray(4094, 4098)]).toEqual([1, 2, 3, 4])
    expect(nic.read(memory.address + 4095, 2)).toEqual(Uint8Array.of(2, 3))
    memory.release()
    memory.release()
    await write(machine, '/sys/bus/pci/drivers/nvme/unbind', '0000:02:00.0')
    expect(await codeOf(() => machine.device('0000:02:00.0').driverMemory(1))).toBe('ENODEV')
  })

  it('is told apart by the IOMMU: a refused access names its requester, once', async () => {
    const machine = await openModel('desktop')
    machine.faults()
    // Nobody has anything mapped there: drivers get addresses from the top.
    const address = 0x100000
    expect(machine.device('0000:02:00.0').write(address, Uint8Array.of(1))).toBe(false)
    const [fault, ...others] = machine.faults()
    expect(others).toEqual([])
    expect(fault).toMatchObject({ requester: '02:00.0', address, write: true })
    expect(fault?.reason).toContain('rite access')
    expect(machine.faults()).toEqual([])
  })

  it('reaches nothing once it is pulled out', async () => {
    const machine = await openModel('desktop')
    const nic = machine.device(NIC)
    const { address } = nic.driverMemory(4096)
    expect(nic.read(address, 1)).not.toBeNull()
    await machine.pull(NIC)
    expect(nic.read(address, 1)).toBeNull()
    expect(nic.write(address, Uint8Array.of(1))).toBe(false)
  })

  it('has no memory of a driver while a user has it', async () => {
    const machine = await openModel('desktop')
    await write(machine, `/sys/bus/pci/devices/${NIC}/driver/unbind`, NIC)
    await write(machine, `/sys/bus/pci/devices/${NIC}/driver_override`, 'vfio-pci\n')
    await write(machine, '/sys/bus/pci/drivers_probe', NIC)
    expect(await codeOf(() => machine.device(NIC).driverMemory(1))).toBe('ENODEV')
  })
})

describe('what a model shows', () => {
  it('log lines and uevents in their order, each once', async () => {
    const machine = await openModel('desktop')
    expect(machine.events()).toEqual([])
    await write(machine, `/sys/bus/pci/devices/${NIC}/remove`, '1')
    expect(machine.events().map(({ kind, text }) => `${kind} ${text}`)).toContain(
      `uevent remove /devices/pci0000:00/${PORT}/${NIC} (pci)`,
    )
    await write(machine, '/sys/bus/pci/rescan', '1')
    const texts = machine.events().map(({ text }) => text)
    const grouped = texts.findIndex((text) => text.includes('Adding to iommu group'))
    const added = texts.findIndex((text) => text.startsWith('add '))
    expect(grouped).toBeGreaterThanOrEqual(0)
    expect(added).toBeGreaterThan(grouped)
    expect(machine.events()).toEqual([])
  })

  it('one context for all devices of a group, under a number that stays', async () => {
    const machine = await openModel('desktop')
    const id = machine.kernel.link(`/sys/bus/pci/devices/${CARD[0]}/iommu_group`).split('/').at(-1)
    const contexts = machine.contexts()
    const mine = contexts.filter(({ groups }) => groups.includes(id ?? ''))
    expect(mine).toHaveLength(1)
    expect(mine[0]).toMatchObject({ use: 'kernel', groups: [id] })
    expect(new Set(contexts.map(({ number }) => number)).size).toBe(contexts.length)
    expect(machine.contexts().map(({ number }) => number)).toEqual(
      contexts.map(({ number }) => number),
    )
    machine.device(CARD[1]).driverMemory(4096)
    const after = machine.contexts().find(({ groups }) => groups.includes(id ?? ''))
    expect(after?.tableBytes).toBeGreaterThan(0)
  })
})
