/** Small PCI machines for tests of the IOMMU core: functions with real registers, wired by hand. */
import { formatBus, parseAddress } from '../../pci/address.ts'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import { Bus } from '../driver-core/bus.ts'
import { Device } from '../driver-core/device.ts'
import { acs, type Capability, pciExpress } from '../hardware/capabilities.ts'
import { buildConfig } from '../hardware/config-build.ts'
import { configSpace } from '../hardware/config-space.ts'
import { GenericFunction } from '../hardware/devices/generic.ts'
import { PciBus } from '../pci/pci-bus.ts'
import { PciDevice } from '../pci/pci-device.ts'

export interface Traits {
  /** The bridge it is behind; absent = on a root bus. */
  readonly below?: PciDevice
  /** null = conventional. */
  readonly type?: number | null
  /** ACS capability and control words; absent = no such capability. */
  readonly acs?: readonly [capability: number, control: number]
  readonly multifunction?: boolean
  readonly vendor?: number
  readonly device?: number
  readonly classCode?: number
}

/** SV|RR|CR|UF and more implemented; SV|RR|CR|UF enabled. */
export const GOOD_ACS = [0x5f, 0x1d] as const

const TYPES_OF_BRIDGES: readonly (number | null)[] = [
  PCIE_TYPE.rootPort,
  PCIE_TYPE.upstreamPort,
  PCIE_TYPE.downstreamPort,
  PCIE_TYPE.pcieToPciBridge,
  PCIE_TYPE.pciToPcieBridge,
]

/** A PCI bus type with its devices; nothing is scanned, everything is added by the test. */
export class PciTree {
  readonly bus: Bus = new Bus('pci', {
    match: () => false,
    configureDma: () => undefined,
    cleanUpDma: () => undefined,
  })
  /** In the order they were plugged. */
  readonly devices: PciDevice[] = []
  readonly #roots = new Map<string, PciBus>()
  readonly #host: Device = new Device({ name: 'pci0000:00', parent: null, bus: null })

  /** Makes a function and puts it on its bus, without telling anybody. */
  plug(address: string, traits: Traits = {}): PciDevice {
    const at = parseAddress(address)
    if (at === null) throw new Error(address)
    const { below } = traits
    const type = traits.type === undefined ? PCIE_TYPE.endpoint : traits.type
    const pciBus = below === undefined ? this.#root(at.domain, at.bus) : secondary(below, at.bus)
    const device = new PciDevice({
      at,
      bus: this.bus,
      parent: below ?? this.#host,
      pciBus,
      hardware: new GenericFunction('test', registers(traits, type), []),
    })
    device.pcieType = type
    device.multifunction = traits.multifunction ?? false
    this.#register(device)
    return device
  }

  /** On its bus, as device_add does before the notifiers run. */
  #register(device: PciDevice): void {
    device.pciBus.add(device)
    this.bus.devices.set(device.name, device)
    this.devices.push(device)
  }

  /** Hot add: on its bus, and everybody hears of it. */
  add(address: string, traits: Traits = {}): PciDevice {
    const device = this.plug(address, traits)
    this.bus.notify('add-device', device)
    return device
  }

  remove(device: PciDevice): void {
    device.pciBus.remove(device)
    this.bus.devices.delete(device.name)
    this.bus.notify('removed-device', device)
  }

  /** A virtual function on a bus above its physical function's, which no bridge leads to. */
  plugVirtual(address: string, physical: PciDevice): PciDevice {
    const at = parseAddress(address)
    if (at === null) throw new Error(address)
    const { bus } = at
    const here = physical.pciBus
    const pciBus = bus === here.number ? here : new PciBus(at.domain, bus, here, null)
    const device = new PciDevice({
      at,
      bus: this.bus,
      parent: physical.parent ?? this.#host,
      pciBus,
      hardware: new GenericFunction('test', registers({}, PCIE_TYPE.endpoint), []),
      physicalFunction: physical,
    })
    device.pcieType = PCIE_TYPE.endpoint
    this.#register(device)
    return device
  }

  #root(domain: number, number: number): PciBus {
    const name = formatBus(domain, number)
    let bus = this.#roots.get(name)
    if (bus === undefined) {
      bus = new PciBus(domain, number, null, null)
      this.#roots.set(name, bus)
    }
    return bus
  }
}

function secondary(bridge: PciDevice, number: number): PciBus {
  bridge.subordinate ??= new PciBus(bridge.at.domain, number, bridge.pciBus, bridge)
  return bridge.subordinate
}

function registers(traits: Traits, type: number | null): ReturnType<typeof configSpace> {
  const capabilities: Capability[] = type === null ? [] : [pciExpress({ type })]
  const config = configSpace(
    buildConfig({
      vendor: traits.vendor ?? 0x1b36,
      device: traits.device ?? 0x0001,
      classCode: traits.classCode ?? 0x020000,
      headerType: TYPES_OF_BRIDGES.includes(type) || traits.classCode === 0x060400 ? 1 : 0,
      multifunction: traits.multifunction ?? false,
      capabilities,
      extended: traits.acs === undefined ? [] : [acs(traits.acs[0])],
    }),
    [],
  )
  if (traits.acs !== undefined) config.poke(config.extendedCapability(0x0d) + 6, 2, traits.acs[1])
  return config
}
