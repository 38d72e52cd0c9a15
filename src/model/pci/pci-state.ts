/**
 * What the parts of the PCI subsystem share: the bus type, the buses found, the lock under which
 * functions come and go, and what firmware and the command line decided.
 */
import type { KernelContext } from '../context.ts'
import type { Bus } from '../driver-core/bus.ts'
import type { Attribute, Device } from '../driver-core/device.ts'
import type { HardwareFunction } from '../hardware/function.ts'
import type { Slots } from '../hardware/slots.ts'
import type { Mutex } from '../task.ts'
import type { PciBus } from './pci-bus.ts'
import type { PciDevice } from './pci-device.ts'
import type { AddressSpace } from './resources.ts'

/** DMA ownership as the IOMMU core keeps it (IommuCore has these members). */
export interface DmaOwnership {
  /** @throws Errno EBUSY, EPROBE_DEFER */
  useDefaultDomain(device: Device): void
  unuseDefaultDomain(device: Device): void
}

export interface PciOptions {
  /** Absent: no IOMMU core, nobody owns anything. */
  readonly dma?: DmaOwnership
  /** An IOMMU driver asked for ACS before the buses were scanned (pci_request_acs). */
  readonly requestsAcs?: boolean
  /** Reset methods of a function where known from a real host; absent = from the registers. */
  readonly resetMethods?: (address: string) => readonly string[] | undefined
  readonly numaNode?: (address: string) => number | undefined
  /** Slots belong to acpiphp, not to the drivers of ports. */
  readonly firmwareHotPlug?: boolean
}

export interface PciState {
  readonly context: KernelContext
  readonly slots: Slots
  readonly bus: Bus
  readonly options: PciOptions
  /** Root buses, in the order they were found. */
  readonly rootBuses: PciBus[]
  /** All buses, virtual ones too, by busKey. */
  readonly buses: Map<number, PciBus>
  readonly addressSpace: AddressSpace
  /** The kernel's pci_rescan_remove_lock: adding and removing functions happens under it. */
  readonly rescanRemoveLock: Mutex
  /** The host bridges ("pci0000:00") in whose directories the root buses are. */
  readonly hostBridges: Map<PciBus, Device>
  /** Files of every function; one table for all. */
  readonly deviceAttributes: readonly Attribute<PciDevice>[]
  /** Files of a bus of class pci_bus. */
  readonly busAttributes: (bus: PciBus) => readonly Attribute[]
  /** Which function has this hardware; for root buses that a function hosts. */
  readonly byHardware: Map<HardwareFunction, PciDevice>
}

/** Key of a bus in PciState.buses. */
export function busKey(domain: number, number: number): number {
  return domain * 256 + number
}

/** dev_info and its kin: the driver's name in front, or the bus' for unbound devices. */
export function logDevice({ context }: PciState, device: PciDevice, text: string): void {
  context.log.push(`${device.driver?.name ?? 'pci'} ${device.name}: ${text}`)
}
