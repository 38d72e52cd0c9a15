import { describe, expect, it } from 'vitest'
import { parseAddress } from '../../pci/address.ts'
import { addDevice, removeDevice } from '../driver-core/add-device.ts'
import { bindDriver, registerDriver, releaseDriver } from '../driver-core/bind.ts'
import { Bus } from '../driver-core/bus.ts'
import { Device } from '../driver-core/device.ts'
import type { Driver } from '../driver-core/driver.ts'
import type { BusMaster } from '../hardware/function.ts'
import { createFunction, deviceTemplate } from '../hardware/devices/catalogue.ts'
import { Cabling } from '../hardware/devices/nic/cabling.ts'
import { DmaApi } from '../iommu/dma-api.ts'
import type { FakeDomain } from '../iommu/fake-unit.case.ts'
import { FakeUnit, testContext } from '../iommu/fake-unit.case.ts'
import { IommuCore } from '../iommu/iommu-core.ts'
import type { DriverDescription, FunctionDescription } from '../machine/description.ts'
import { PciBus } from '../pci/pci-bus.ts'
import { PciDevice } from '../pci/pci-device.ts'
import { busMatches } from '../pci/pci-driver.ts'
import { runNow } from '../task.ts'
import { knownDrivers } from './known.ts'

/** A kernel with an IOMMU core, the known drivers, and one bus of hand-plugged functions. */
class Host {
  readonly context = testContext()
  readonly core = new IommuCore(this.context)
  readonly dma = new DmaApi(this.context, this.core)
  readonly bus: Bus = new Bus('pci', {
    match: (device, driver) => device instanceof PciDevice && busMatches(driver, device),
    configureDma: (device, driver) => {
      if (!driver.managesDma) this.core.useDefaultDomain(device)
    },
    cleanUpDma: (device, driver) => {
      if (!driver.managesDma) this.core.unuseDefaultDomain(device)
    },
  })
  readonly pciBus = new PciBus(0, 0, null, null)
  readonly root = new Device({ name: 'pci0000:00', parent: null, bus: null })
  readonly cabling = new Cabling()
  readonly descriptions = new Map<string, FunctionDescription>()
  readonly virtual: string[] = []
  readonly events: string[] = []

  constructor(described: readonly DriverDescription[] = []) {
    const note = function* (this: Host, text: string) {
      this.virtual.push(text)
    }
    const drivers = knownDrivers(
      {
        context: this.context,
        bus: this.bus,
        dma: this.dma,
        describe: (address) => this.descriptions.get(address),
        enableSriov: (device, count) => note.call(this, `${device.name} ${String(count)}`),
        disableSriov: (device) => note.call(this, `${device.name} 0`),
      },
      described,
    )
    this.core.registerUnit(new FakeUnit(), [this.bus])
    for (const driver of drivers) runNow(registerDriver(this.context, driver))
    this.context.uevents.listen(({ action, devpath }) => {
      this.events.push(`${action} ${devpath.replace('/devices/pci0000:00/', '')}`)
    })
  }

  driver(name: string): Driver {
    const driver = this.bus.drivers.get(name)
    if (driver === undefined) throw new Error(`no driver ${name}`)
    return driver
  }

  add(at: string, kind: string, more: Partial<FunctionDescription> = {}): PciDevice {
    const template = deviceTemplate(kind)
    const address = parseAddress(at)
    if (template === undefined || address === null) throw new Error(`${kind} ${at}`)
    const description = { ...template, at, parent: null, ...more }
    this.descriptions.set(at, description)
    const hardware = createFunction(description, this.cabling)
    const device = new PciDevice({
      at: address,
      bus: this.bus,
      parent: this.root,
      pciBus: this.pciBus,
      hardware,
    })
    const express = hardware.config.capability(0x10)
    device.pcieType = express === 0 ? null : (hardware.config.read(express + 2, 2) >> 4) & 0xf
    this.pciBus.add(device)
    hardware.connect(this.port(device))
    runNow(addDevice(this.context, device))
    return device
  }

  remove(device: PciDevice): void {
    runNow(removeDevice(this.context, device))
  }

  /** Memory as the device reaches it: through the domain its group is attached to. */
  port(device: PciDevice): BusMaster {
    const place = (page: number): number => device.iommuGroup?.domain?.physicalPage(page) ?? -1
    const master = (): boolean => (device.hardware.config.read(4, 2) & 4) !== 0
    return {
      read: (page, offset, length) => {
        const physical = master() ? place(page) : -1
        if (physical < 0) return null
        return this.context.memory.bytes(physical, 1).slice(offset, offset + length)
      },
      write: (page, offset, bytes) => {
        const physical = master() ? place(page) : -1
        if (physical < 0) return false
        this.context.memory.bytes(physical, 1).set(bytes, offset)
        return true
      },
      message: () => undefined,
      pin: () => undefined,
    }
  }

  mapped(device: PciDevice): number {
    return (device.iommuGroup?.defaultDomain as FakeDomain).pages.size
  }
}

describe('kernel drivers', () => {
  it('take the functions they take in Linux', () => {
    const host = new Host()
    const bound = (at: string, kind: string): string | undefined => host.add(at, kind).driver?.name
    expect(bound('0000:00:01.0', 'root-port')).toBe('pcieport')
    expect(bound('0000:00:02.0', 'nic')).toBe('e1000e')
    expect(bound('0000:00:03.0', 'pci-nic')).toBe('e1000')
    expect(bound('0000:00:04.0', 'nvme')).toBe('nvme')
    expect(bound('0000:00:05.0', 'edu')).toBeUndefined()
    expect(bound('0000:00:06.0', 'usb')).toBe('xhci_hcd')
    expect(bound('0000:00:07.0', 'gpu')).toBe('nouveau')
    expect(bound('0000:00:07.1', 'gpu-audio')).toBe('snd_hda_intel')
    expect(bound('0000:00:08.0', 'audio')).toBe('snd_hda_intel')
    expect(bound('0000:00:09.0', 'integrated-gpu')).toBe('i915')
    expect(bound('0000:00:0a.0', 'wifi')).toBe('iwlwifi')
    expect(bound('0000:00:0b.0', 'sriov-nic')).toBe('igb')
    expect(bound('0000:00:0c.0', 'virtio-net')).toBe('virtio-pci')
    expect(bound('0000:00:0d.0', 'display')).toBe('bochs-drm')
    expect(bound('0000:00:1f.0', 'isa-bridge')).toBe('lpc_ich')
    expect(bound('0000:00:1f.2', 'sata')).toBe('ahci')
    expect(bound('0000:00:1f.3', 'smbus')).toBe('i801_smbus')
    expect(bound('0000:00:00.0', 'host-bridge')).toBeUndefined()
  })

  it('leave other bridges than PCI Express ports alone, shpchp too unless the machine says so', () => {
    const host = new Host()
    expect(host.add('0000:00:01.0', 'pcie-pci-bridge').driver).toBeNull()
    expect(host.add('0000:00:02.0', 'pci-bridge').driver).toBeNull()
    expect(host.add('0000:00:03.0', 'pci-bridge', { driver: 'shpchp' }).driver?.name).toBe('shpchp')
    expect(host.driver('pcieport').managesDma).toBe(true)
    expect(host.driver('pci-stub').managesDma).toBe(true)
    expect(host.driver('shpchp').managesDma).toBe(false)
    expect(host.driver('uio_pci_generic').managesDma).toBe(false)
  })

  it('let ports master the bus only where they send messages', () => {
    const host = new Host()
    const command = (at: string, kind: string): number =>
      host.add(at, kind).hardware.config.read(4, 2) & 7
    expect(command('0000:00:01.0', 'root-port')).toBe(7)
    expect(command('0000:00:02.0', 'downstream-port')).toBe(3)
  })

  it('map memory while bound, let the device work with it, and give everything back', () => {
    const host = new Host()
    const free = host.context.memory.usedPages
    const nvme = host.add('0000:00:04.0', 'nvme')
    expect(nvme.driver?.name).toBe('nvme')
    expect(host.mapped(nvme)).toBe(3)
    expect(nvme.hardware.readBar(0, 0x1c, 4)).toBe(1)
    expect(nvme.hardware.config.read(4, 2) & 6).toBe(6)
    runNow(releaseDriver(host.context, nvme))
    expect(host.mapped(nvme)).toBe(0)
    expect(host.context.memory.usedPages).toBe(free)
    expect(nvme.hardware.readBar(0, 0x1c, 4)).toBe(0)
    expect(nvme.hardware.config.read(4, 2) & 4).toBe(0)
  })

  it('receive what a sibling sends, in their own pages only, and nothing after they let go', () => {
    const host = new Host()
    const a = host.add('0000:00:02.0', 'nic')
    const b = host.add('0000:00:02.1', 'nic')
    const frames = (): number => a.hardware.readBar(0, 0x4074, 4)
    const ring = host.context.memory.allocate(1)
    const domain = b.iommuGroup?.defaultDomain
    domain?.map(0x100, ring, 1, 3)
    const bytes = host.context.memory.bytes(ring, 1)
    bytes.set(Array<number>(60).fill(0xff), 0x800)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    const { hardware } = b
    const send = (slot: number): void => {
      view.setUint32(16 * slot, 0x100800, true)
      view.setUint32(16 * slot + 8, 60 | (0x09 << 24), true)
      hardware.writeBar(0, 0x3800, 4, 0x100000)
      hardware.writeBar(0, 0x3808, 4, 128)
      hardware.writeBar(0, 0x3818, 4, slot + 1)
      hardware.writeBar(0, 0x400, 4, 2)
      while (hardware.busy) hardware.advance()
    }
    send(0)
    expect(frames()).toBe(1)
    runNow(releaseDriver(host.context, a))
    send(1)
    expect(frames()).toBe(1)
  })

  it('do not bind where DMA does not reach memory, and leave nothing behind', () => {
    const host = new Host()
    const used = host.context.memory.usedPages
    const nvme = host.add('0000:00:04.0', 'nvme', { driver: null })
    runNow(releaseDriver(host.context, nvme))
    nvme.hardware.connect(null)
    expect(() => {
      runNow(bindDriver(host.context, nvme, host.driver('nvme')))
    }).toThrow('ENODEV')
    expect(nvme.driver).toBeNull()
    expect(host.mapped(nvme)).toBe(0)
    expect(host.context.memory.usedPages).toBe(used)
    expect(nvme.iommuGroup?.ownerCount).toBe(0)
    nvme.hardware.connect(host.port(nvme))
    runNow(bindDriver(host.context, nvme, host.driver('nvme')))
    expect(host.events.at(-2)).toBe('add 0000:00:04.0/nvme/nvme0/nvme0n1')
  })

  it('enable what nvme is given by mistake and is no NVMe controller, and let go of it', () => {
    const host = new Host()
    const edu = host.add('0000:00:04.0', 'edu')
    edu.driverOverride = 'nvme'
    expect(edu.powerState).toBe('unknown')
    expect(() => {
      runNow(bindDriver(host.context, edu, host.driver('nvme')))
    }).toThrow('ENODEV')
    expect([edu.driver, edu.enableCount, edu.powerState]).toEqual([null, 0, 'D0'])
    const full = host.add('0000:00:05.0', 'edu')
    full.driverOverride = 'nvme'
    full.forgottenBars.add(0x10)
    expect(() => {
      runNow(bindDriver(host.context, full, host.driver('nvme')))
    }).toThrow('ENODEV')
    expect(full.powerState).toBe('unknown')
  })

  it('announce their class devices before the bind event, and take them away before unbind', () => {
    const host = new Host()
    const nic = host.add('0000:00:02.0', 'nic')
    expect(host.events).toEqual([
      'add 0000:00:02.0',
      'add 0000:00:02.0/net/eth0',
      'bind 0000:00:02.0',
    ])
    host.events.length = 0
    host.remove(nic)
    expect(host.events).toEqual([
      'remove 0000:00:02.0/net/eth0',
      'unbind 0000:00:02.0',
      'remove 0000:00:02.0',
    ])
  })

  it('take a disk away before its controller', () => {
    const host = new Host()
    const nvme = host.add('0000:00:04.0', 'nvme')
    host.events.length = 0
    runNow(releaseDriver(host.context, nvme))
    expect(host.events).toEqual([
      'remove 0000:00:04.0/nvme/nvme0/nvme0n1',
      'remove 0000:00:04.0/nvme/nvme0',
      'unbind 0000:00:04.0',
    ])
  })

  it('number their devices from the lowest free name, apart from described ones', () => {
    const host = new Host()
    const names = (device: PciDevice): string[] => [...device.children.keys()]
    const first = host.add('0000:00:02.0', 'nic')
    const second = host.add('0000:00:03.0', 'nic')
    expect([names(first), names(second)]).toEqual([['net/eth0'], ['net/eth1']])
    host.remove(first)
    expect(names(host.add('0000:00:04.0', 'pci-nic'))).toEqual(['net/eth0'])
    const services = [
      { class: 'block', name: 'nvme3n1' },
      { class: 'nvme', name: 'nvme3' },
    ]
    const nvme = host.add('0000:00:05.0', 'nvme', { services })
    expect(names(nvme)).toEqual(['nvme/nvme3'])
    expect([...(nvme.children.get('nvme/nvme3')?.children.keys() ?? [])]).toEqual(['nvme3n1'])
    expect(names(host.add('0000:00:06.0', 'gpu'))).toEqual(['drm/card0'])
    expect(names(host.add('0000:00:06.1', 'gpu-audio'))).toEqual(['sound/card0'])
  })

  it('count as kernel users of the group, and are refused where a user owns it', () => {
    const host = new Host()
    const nic = host.add('0000:00:02.0', 'nic')
    expect(nic.iommuGroup?.ownerCount).toBe(1)
    runNow(releaseDriver(host.context, nic))
    const group = nic.iommuGroup
    if (group === null) throw new Error('no group')
    host.core.claim(group, {})
    expect(() => {
      runNow(bindDriver(host.context, nic, host.driver('e1000e')))
    }).toThrow('EBUSY')
    expect(host.mapped(nic)).toBe(0)
    expect(nic.children.size).toBe(0)
  })

  it('make and remove virtual functions; igb takes its own along when it goes', () => {
    const host = new Host()
    const pf = host.add('0000:00:02.0', 'sriov-nic')
    const making = pf.driver?.sriovConfigure?.(pf, 4)
    if (making === undefined) throw new Error('igb has no virtual functions')
    runNow(making)
    runNow(releaseDriver(host.context, pf))
    expect(host.virtual).toEqual(['0000:00:02.0 4', '0000:00:02.0 0'])
    expect('sriovConfigure' in host.driver('e1000e')).toBe(false)
    const nvme = host.add('0000:00:03.0', 'nvme')
    runNow(releaseDriver(host.context, nvme))
    expect(host.virtual).toHaveLength(2)
  })

  it('come from descriptions too, but never twice', () => {
    const ids = [{ vendor: 0x1234, device: 0x11e8 }]
    const host = new Host([
      { name: 'edu-driver', module: 'edu', managesDma: false, ids },
      { name: 'nvme', module: 'other', managesDma: true, ids: [] },
    ])
    const edu = host.add('0000:00:05.0', 'edu')
    expect(edu.driver?.name).toBe('edu-driver')
    expect(host.mapped(edu)).toBe(2)
    expect(host.driver('nvme').managesDma).toBe(false)
  })
})
