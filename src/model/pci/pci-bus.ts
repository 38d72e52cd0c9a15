/** struct pci_bus: the devices behind one bridge, or on one root bus. */
import type { PciDevice } from './pci-device.ts'

export class PciBus {
  readonly domain: number
  readonly number: number
  /** Null on a root bus. A virtual bus (for VFs beyond the PF's bus) has a parent but no bridge. */
  readonly parent: PciBus | null
  /** Null on root buses and virtual buses. */
  readonly bridge: PciDevice | null
  /** Registered functions, in the order they were added. */
  readonly devices: PciDevice[] = []
  readonly children: PciBus[] = []

  constructor(domain: number, number: number, parent: PciBus | null, bridge: PciDevice | null) {
    this.domain = domain
    this.number = number
    this.parent = parent
    this.bridge = bridge
  }
}
