/** struct pci_dev: what the kernel knows about a function it found. */
import { devfn, formatAddress, type PciAddress } from '../../pci/address.ts'
import type { Bus } from '../driver-core/bus.ts'
import { Device } from '../driver-core/device.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { PciBus } from './pci-bus.ts'

/** pci_power_t as `power_state` prints it. Unknown until a driver enables the function. */
export type PciPowerState = 'unknown' | 'D0' | 'D1' | 'D2' | 'D3hot' | 'D3cold'

/** struct pci_sriov of a physical function. */
export interface SriovState {
  /** Offset of the capability. */
  readonly capability: number
  readonly totalVfs: number
  readonly vfDevice: number
  /** Enabled now (num_VFs). */
  numVfs: number
  /** sriov_drivers_autoprobe */
  autoprobe: boolean
}

/** What is saved around a reset: values of registers, in the order in which they are written back. */
export type SavedRegisters = readonly (readonly [offset: number, size: 1 | 2 | 4, value: number])[]

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
  /** Peer decode was switched off in the chipset instead (PCI_DEV_FLAGS_ACS_ENABLED_QUIRK, Intel PCH). */
  acsEnabledByQuirk = false
  /** The bus behind it, for bridges. */
  subordinate: PciBus | null = null
  /** SR-IOV: the physical function, and the virtual ones by index. */
  readonly physicalFunction: PciDevice | null
  readonly virtualFunctions: (PciDevice | undefined)[] = []
  /** Null unless it is a physical function with a working SR-IOV capability. */
  sriov: SriovState | null = null
  /** Bridges: forwards requests of more than 8 functions (ari_enabled). */
  ariForwarding = false
  /** Devfns on its own bus whose requester id it may use (dma_alias_mask). */
  readonly dmaAliases: Set<number> = new Set()
  /** The endpoint that does DMA for it (Intel VMD); itself normally. */
  realDmaDevice: PciDevice | null = null
  /** pci_bus_add_device has been here: final fixups done, drivers were offered (is_added). */
  added = false
  /** The `remove` file was written; a second writer finds nothing to do. */
  removing = false
  /** pci_destroy_dev has been here. */
  destroyed = false
  /** Calls of pci_enable_device without pci_disable_device (enable_cnt). */
  enableCount = 0
  powerState: PciPowerState = 'unknown'
  d3coldAllowed: boolean
  /** May wake the machine (power.can_wakeup): it signals PME, or a port above listens for it. */
  canWakeup: boolean
  /** Ways to reset it, best first (reset_methods). */
  resetMethods: readonly string[] = []
  /** It had a reset method when it was added: then it has the files `reset` and `reset_method`. */
  resettable = false
  /** Drivers may not use MSI (no_msi; for bridges: below it). */
  noMsi = false
  /** A note of root's that it reports parity errors where there are none; nobody acts on it here. */
  brokenParityStatus = false
  numaNode = -1
  saved: SavedRegisters | null = null
  /**
   * Offsets of base address registers that there was no room for. The kernel forgets that they are there
   * until it finds the function again (reset_resource, drivers/pci/setup-bus.c).
   */
  readonly forgottenBars: Set<number> = new Set()

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
    const subsystem = subsystemOffset(init.hardware, this.headerType)
    this.subsystemVendor = subsystem === 0 ? 0 : config.read(subsystem, 2)
    this.subsystemDevice = subsystem === 0 ? 0 : config.read(subsystem + 2, 2)
    const power = config.capability(POWER_MANAGEMENT)
    this.d3coldAllowed = power !== 0
    this.canWakeup = power !== 0 && (config.read(power + 2, 2) & PME_SUPPORT) !== 0
  }

  /** Device id of its virtual functions (SR-IOV capability +0x1A). */
  virtualFunctionDevice(): number {
    const { config } = this.hardware
    return config.read(config.extendedCapability(0x10) + 0x1a, 2)
  }

  get isVirtual(): boolean {
    return this.physicalFunction !== null
  }

  /** sriov_drivers_autoprobe of a physical function. */
  get sriovAutoprobe(): boolean {
    return this.sriov?.autoprobe ?? true
  }
}

/** pci_msi_supported(): for an endpoint, neither it nor a bridge above it refuses message interrupts. */
export function mayUseMessages(device: PciDevice): boolean {
  if (device.noMsi) return false
  for (let bus: PciBus | null = device.pciBus; bus !== null; bus = bus.parent) {
    if (bus.bridge?.noMsi === true) return false
  }
  return true
}

const POWER_MANAGEMENT = 0x01
const PME_SUPPORT = 0xf800
const BRIDGE_SUBSYSTEM = 0x0d

/** Where the subsystem ids are: in the header, or for bridges in a capability; 0 = nowhere. */
function subsystemOffset({ config }: HardwareFunction, headerType: number): number {
  if (headerType === 0) return 0x2c
  if (headerType === 2) return 0x40
  const capability = config.capability(BRIDGE_SUBSYSTEM)
  return capability === 0 ? 0 : capability + 4
}
