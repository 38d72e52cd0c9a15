/** What drivers need of the rest of the kernel, and of the machine they run on. */
import type { KernelContext } from '../context.ts'
import type { Bus } from '../driver-core/bus.ts'
import type { DmaApi } from '../iommu/dma-api.ts'
import type { FunctionDescription } from '../machine/description.ts'
import type { HostUses } from '../machine/host-uses.ts'
import type { PciDevice } from '../pci/pci-device.ts'
import type { Task } from '../task.ts'

export interface DriverServices {
  readonly context: KernelContext
  /** The PCI bus. */
  readonly bus: Bus
  readonly dma: DmaApi
  /** What the machine's description says about the function at "0000:01:00.0", if anything. */
  describe(address: string): FunctionDescription | undefined
  /** Slots belong to ACPI's hot plug. */
  readonly firmwareHotPlug?: boolean
  /** What the host does with what drivers make; absent = nothing. */
  readonly uses?: HostUses
  /** pci_enable_sriov() and pci_disable_sriov(). @throws Errno */
  enableSriov(device: PciDevice, count: number): Task<void>
  disableSriov(device: PciDevice): Task<void>
}
