/** struct device_driver and what binds it to devices. */
import type { Task } from '../task.ts'
import type { Bus } from './bus.ts'
import type { Attribute, Device } from './device.ts'

/** struct pci_device_id, and enough for other buses. null = PCI_ANY_ID. */
export interface DeviceId {
  readonly vendor: number | null
  readonly device: number | null
  readonly subvendor: number | null
  readonly subdevice: number | null
  /** 24-bit class and the bits of it that count. */
  readonly class: number
  readonly classMask: number
  /** Matches only through driver_override (PCI_ID_F_VFIO_DRIVER_OVERRIDE): vfio-pci's catch-all. */
  readonly overrideOnly: boolean
  readonly driverData: number
}

export interface Driver {
  readonly name: string
  readonly bus: Bus
  /** Module it comes from, for the `module` link; null = built in. */
  readonly module: string | null
  /**
   * The driver manages DMA ownership itself or does no DMA (driver_managed_dma): it may bind in a group
   * that a user owns. True for pcieport, pci-stub and the vfio family.
   */
  readonly managesDma: boolean
  /** A VFIO bus driver (before 5.19 it alone made a group viable). */
  readonly isVfio: boolean
  readonly ids: readonly DeviceId[]
  /** Added through new_id; looked at before `ids`. */
  readonly dynamicIds: DeviceId[]
  /** Whether the driver has new_id and remove_id (all PCI drivers have). */
  readonly takesIds: boolean
  /** @throws Errno when the driver does not want the device. Runs with the device's lock held. */
  probe(device: Device): Task<void>
  /** Runs with the lock held; may sleep until users let go of the device. */
  remove(device: Device): Task<void>
  /** Device files while bound. */
  readonly attributes?: readonly Attribute[]
  /** Makes `count` virtual functions (0 = removes them); absent: sriov_numvfs gives ENOENT. */
  sriovConfigure?(device: Device, count: number): Task<void>
}
