import { describe, expect, it } from 'vitest'
import type { Device } from './driver-core/device.ts'
import { Errno } from './errno.ts'
import {
  createFunction,
  type DeviceTemplate,
  deviceTemplate,
} from './hardware/devices/catalogue.ts'
import type { BusMaster } from './hardware/function.ts'
import { bootedMachine, CARD, CARD_MATE, DISK, USB } from './machine/booted-machine.case.ts'
import { bootModel, type Model } from './model.ts'
import { wait } from './task.ts'

function template(kind: string, multifunction = false): DeviceTemplate {
  const found = deviceTemplate(kind, { multifunction })
  if (found === undefined) throw new Error(`there is no ${kind}`)
  return found
}

function driverOf(model: Model, address: string): string | null | undefined {
  const device = model.pci.device(address)
  return device === undefined ? undefined : (device.driver?.name ?? null)
}

function groupOf(model: Model, address: string): number | undefined {
  return model.pci.device(address)?.iommuGroup?.id
}

/** The machine of bootedMachine() with other things said about one of its functions. */
function rebooted(at: string, said: { readonly driver?: string | null }): Model {
  const { machine } = bootedMachine()
  const functions = machine.functions.map((fn) => (fn.at === at ? { ...fn, ...said } : fn))
  return bootModel({ ...machine, functions })
}

describe('bootModel()', () => {
  it('binds whoever matches, in groups of their own or of the card', () => {
    const model = bootedMachine()
    expect([CARD, CARD_MATE, DISK, USB].map((at) => driverOf(model, at))).toEqual([
      'e1000e',
      'e1000e',
      'nvme',
      'xhci_hcd',
    ])
    expect(groupOf(model, CARD)).toBe(groupOf(model, CARD_MATE))
    expect(groupOf(model, DISK)).not.toBe(groupOf(model, CARD))
  })

  it('logs groups before any driver has a function', () => {
    const { log } = bootedMachine().context
    const lastGroup = log.findLastIndex((line) => line.includes('Adding to iommu group'))
    const firstDriver = log.findIndex((line) => /^(?:e1000e|nvme|pcieport)\b/.test(line))
    expect(lastGroup).toBeGreaterThan(0)
    expect(firstDriver === -1 || firstDriver > lastGroup).toBe(true)
  })

  it('leaves alone what the description says nobody has, but lets it be bound later', () => {
    const model = rebooted(DISK, { driver: null })
    expect(driverOf(model, DISK)).toBeNull()
    expect(driverOf(model, CARD)).toBe('e1000e')
    const root = model.createProcess()
    const probe = new TextEncoder().encode(DISK)
    model.run('probe', model.files.write('/sys/bus/pci/drivers_probe', probe, root))
    expect(driverOf(model, DISK)).toBe('nvme')
  })

  it('gives a function to the driver that the description names', () => {
    const stubbed = rebooted(DISK, { driver: 'vfio-pci' })
    expect(driverOf(stubbed, DISK)).toBe('vfio-pci')
    expect(stubbed.pci.device(DISK)?.driverOverride).toBe('vfio-pci')
    const foreign = rebooted(DISK, { driver: 'e1000e' })
    expect(driverOf(foreign, DISK)).toBe('e1000e')
    expect(foreign.pci.device(DISK)?.driverOverride).toBeNull()
  })

  it('says so when there is no driver of the name', () => {
    const model = rebooted(DISK, { driver: 'nobody' })
    expect(driverOf(model, DISK)).toBeNull()
    expect(model.context.log).toContain(`${DISK}: there is no driver nobody`)
  })

  it('makes virtual functions and gives each to its driver', () => {
    const { machine } = bootedMachine()
    const port = machine.functions.find(({ at }) => at === '0000:00:02.0')
    const functions = machine.functions.map((fn) =>
      fn.at === DISK
        ? {
            ...template('sriov-nic'),
            at: DISK,
            parent: port?.at ?? null,
            virtualFunctions: [{}, { driver: null }, { driver: 'vfio-pci' }],
          }
        : fn,
    )
    const model = bootModel({ ...machine, functions })
    const virtual = model.pci.device(DISK)?.virtualFunctions ?? []
    expect(virtual.map((device) => device?.driver?.name ?? null)).toEqual([
      'igbvf',
      null,
      'vfio-pci',
    ])
    expect(new Set(virtual.map((device) => device?.iommuGroup?.id)).size).toBe(3)
    expect(model.pci.device(DISK)?.sriovAutoprobe).toBe(true)
  })

  it('forms no groups where an IOMMU is missing or only translates', () => {
    const { machine } = bootedMachine()
    const off = bootModel({ ...machine, iommu: null })
    expect(off.iommu.groups.size).toBe(0)
    expect(driverOf(off, CARD)).toBe('e1000e')
    expect(off.pci.device('0000:00:01.0')?.hardware.config.read(0x14e, 2)).toBe(0)
    expect(bootedMachine().pci.device('0000:00:01.0')?.hardware.config.read(0x14e, 2)).toBe(0x1d)
  })
})

describe('Model', () => {
  it('gives a hot-plugged device its group before anybody hears of it', () => {
    const model = bootedMachine()
    model.run('pull', model.hotRemove(DISK))
    expect(driverOf(model, DISK)).toBeUndefined()
    const heard: (number | undefined)[] = []
    model.context.uevents.listen(({ action, devpath }) => {
      if (action === 'add' && devpath.endsWith(DISK)) heard.push(groupOf(model, DISK))
    })
    model.run('plug', model.hotAdd(template('nvme'), '0000:00:02.0', 0))
    expect(heard).toEqual([groupOf(model, DISK)])
    expect(heard[0]).toBeTypeOf('number')
    expect(driverOf(model, DISK)).toBe('nvme')
  })

  it('plugs a card of several functions at once', () => {
    const model = bootedMachine()
    model.run('pull', model.hotRemove(DISK))
    const card = [template('nic', true), template('nic', true)]
    model.run('plug', model.hotAdd(card, '0000:00:02.0', 0))
    expect(driverOf(model, DISK)).toBe('e1000e')
    expect(groupOf(model, '0000:02:00.1')).toBe(groupOf(model, DISK))
  })

  it('pulls every function of a card', () => {
    const model = bootedMachine()
    model.run('pull', model.hotRemove(CARD))
    expect([driverOf(model, CARD), driverOf(model, CARD_MATE)]).toEqual([undefined, undefined])
    expect(model.slots.roots.get('0000:00')?.functions.size).toBe(4)
  })

  it('refuses a slot that is taken and a port that is not there', () => {
    const model = bootedMachine()
    const plug = (above: string, devfn: number): void => {
      model.run('plug', model.hotAdd(template('edu'), above, devfn))
    }
    expect(() => {
      plug('0000:00', 3 << 3)
    }).toThrow('EBUSY')
    expect(() => {
      plug('0000:77:00.0', 0)
    }).toThrow('ENODEV')
    expect(() => {
      model.run('pull', model.hotRemove('0000:77:00.0'))
    }).toThrow('ENODEV')
    plug('0000:00', 9 << 3)
    expect(groupOf(model, '0000:00:09.0')).toBeTypeOf('number')
  })

  it('keeps a task that sleeps and says that it does', () => {
    const model = bootedMachine()
    let open = false
    const sleeper = wait('the door', () => open)
    expect(() => {
      model.run('sleeper', sleeper)
    }).toThrow(Errno)
    expect(model.context.scheduler.threads).toHaveLength(1)
    open = true
    model.context.scheduler.settle()
    expect(model.context.scheduler.threads).toHaveLength(0)
  })

  it('numbers processes', () => {
    const model = bootedMachine()
    const [first, second] = [model.createProcess(), model.createProcess({ name: 'qemu', uid: 7 })]
    expect(second.pid).toBe(first.pid + 1)
    expect([first.uid, second.uid, second.name]).toEqual([0, 7, 'qemu'])
  })
})

describe('DMA of a booted machine', () => {
  it('goes through the unit in charge, also after the kernel forgot the function', () => {
    const model = bootedMachine()
    let port: BusMaster | null = null
    const fn = createFunction({ ...template('edu'), at: '0000:00:09.0', parent: null })
    const connect = fn.connect.bind(fn)
    fn.connect = (given) => {
      port = given
      connect(given)
    }
    model.run('plug', model.hotAdd(fn, '0000:00', 9 << 3))
    fn.config.write(0x04, 2, 0x4)
    const write = (): boolean | undefined => port?.write(0x12345, 0, Uint8Array.of(1))
    const hardware = model.iommu.units[0]?.hardware
    expect(write()).toBe(false)
    expect(hardware?.faults).toMatchObject([{ requester: 0x48, page: 0x12345 }])
    hardware?.clearFaults()
    const device = model.pci.device('0000:00:09.0')
    if (device === undefined) throw new Error('it was not found')
    model.run('remove', model.pci.removeTree(device))
    fn.config.write(0x04, 2, 0x4)
    expect(model.pci.device('0000:00:09.0')).toBeUndefined()
    expect(write()).toBe(false)
    expect(hardware?.faults).toMatchObject([{ requester: 0x48, page: 0x12345 }])
  })
})

describe('interrupt chips', () => {
  const chips = (model: Model): readonly string[] => {
    const text = model.files.read('/proc/interrupts', model.createProcess())
    if (typeof text !== 'string') throw new Error('no text')
    return [...text.matchAll(/^ *\d+:(?: +\d+){4} +(\S+)/gm)].map((match) => match[1] ?? '')
  }

  it('are of the device and remapped since 6.2', () => {
    expect(chips(bootedMachine())).toEqual(
      expect.arrayContaining(['IR-IO-APIC', 'DMAR-MSI', `IR-PCI-MSIX-${CARD}`]),
    )
  })

  it('are the same for all devices before', () => {
    const names = chips(bootedMachine({ kernel: '6.1.0' }))
    expect(names).toContain('IR-PCI-MSI')
    expect(names.filter((name) => name.includes(CARD))).toEqual([])
  })

  it('are not remapped without interrupt remapping', () => {
    const names = chips(bootedMachine({ interruptRemapping: false }))
    expect(names).toEqual(expect.arrayContaining(['IO-APIC', `PCI-MSIX-${CARD}`]))
    expect(names.filter((name) => name.startsWith('IR-'))).toEqual([])
  })

  it('vanish when a driver lets go', () => {
    const model = bootedMachine()
    const unbind = new TextEncoder().encode(CARD)
    const path = '/sys/bus/pci/drivers/e1000e/unbind'
    model.run('unbind', model.files.write(path, unbind, model.createProcess()))
    expect(chips(model)).not.toContain(`IR-PCI-MSIX-${CARD}`)
    expect(chips(model)).toContain(`IR-PCI-MSIX-${CARD_MATE}`)
  })
})

describe('a function of a booted machine', () => {
  it('carries the services and the node that its description names', () => {
    const { machine } = bootedMachine()
    const functions = machine.functions.map((fn) =>
      fn.at === CARD
        ? { ...fn, services: [{ class: 'net', name: 'lan7' }], numaNode: 1, resetMethods: ['bus'] }
        : fn,
    )
    const model = bootModel({ ...machine, functions })
    const root = model.createProcess()
    const device: Device | undefined = model.pci.device(CARD)
    expect([...(device?.children.values() ?? [])].map(({ name }) => name)).toEqual(['lan7'])
    const directory = `/sys/bus/pci/devices/${CARD}`
    expect(model.files.read(`${directory}/numa_node`, root)).toBe('1\n')
    expect(model.files.read(`${directory}/reset_method`, root)).toBe('bus\n')
    expect(model.files.link('/sys/class/net/lan7')).toContain(`${CARD}/net/lan7`)
  })
})
