/** struct pci_dev: what the kernel knows about a function it found. */
import { devfn, formatAddress, type PciAddress } from '../../pci/address.ts'
import type { Bus } from '../driver-core/bus.ts'
import { Device } from '../driver-core/device.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { PciBus } from './pci-bus.ts'

export class PciDevice extends Device {
  readonly at: PciAddress
  readonly devfn: number
  readonly pciBus: PciBus
  readonly hardware: HardwareFunction
  readonly vendor: number
  readonly device: number
  readonly classCode: number
  readonly revision: number
  readonly subsystemVendor: number
  readonly subsystemDevice: number
  /** 0 endpoint, 1 bridge, 2 CardBus. */
  readonly headerType: number
  /** The kernel's flag (1.2 of the rules): header bit, or set late by the slot scan. */
  multifunction = false
  /** Port type after the kernel's correction; null = conventional. */
  pcieType: number | null = null
  /** The bus behind it, for bridges. */
  subordinate: PciBus | null = null
  /** SR-IOV: the physical function, and the virtual ones by index. */
  readonly physicalFunction: PciDevice | null
  readonly virtualFunctions: (PciDevice | undefined)[] = []
  /** sriov_drivers_autoprobe of a physical function. */
  sriovAutoprobe = true
  /** Devfns on its own bus whose requester id it may use (dma_alias_mask). */
  readonly dmaAliases: Set<number> = new Set()
  /** The endpoint that does DMA for it (Intel VMD); itself normally. */
  realDmaDevice: PciDevice | null = null

  constructor(init: {
    readonly at: PciAddress
    readonly bus: Bus
    readonly parent: Device
    readonly pciBus: PciBus
    readonly hardware: HardwareFunction
    readonly physicalFunction?: PciDevice
  }) {
    super({ name: formatAddress(init.at), parent: init.parent, bus: init.bus })
    this.at = init.at
    this.devfn = devfn(init.at)
    this.pciBus = init.pciBus
    this.hardware = init.hardware
    this.physicalFunction = init.physicalFunction ?? null
    const { config } = init.hardware
    const ids = this.physicalFunction
    this.vendor = ids?.vendor ?? config.read(0x00, 2)
    this.device = ids === null ? config.read(0x02, 2) : ids.virtualFunctionDevice()
    const revisionAndClass = config.read(0x08, 4)
    this.revision = revisionAndClass & 0xff
    this.classCode = revisionAndClass >>> 8
    this.headerType = config.read(0x0e, 1) & 0x7f
    this.subsystemVendor = this.headerType === 0 ? config.read(0x2c, 2) : 0
    this.subsystemDevice = this.headerType === 0 ? config.read(0x2e, 2) : 0
  }

  /** Device id of its virtual functions (SR-IOV capability +0x1A). */
  virtualFunctionDevice(): number {
    const { config } = this.hardware
    return config.read(config.extendedCapability(0x10) + 0x1a, 2)
  }

  get isVirtual(): boolean {
    return this.physicalFunction !== null
  }
}
