/** struct pci_bus: the devices behind one bridge, or on one root bus. */
import type { Device } from '../driver-core/device.ts'
import type { HardwareBus } from '../hardware/slots.ts'
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
  /** Highest bus number below this bus (busn_res.end). */
  lastNumber: number
  /** Its device of the class pci_bus; null until the subsystem registers it. */
  classDevice: Device | null = null
  /** The wires; null for virtual buses, which are none. */
  hardware: HardwareBus | null = null
  readonly #byDevfn = new Map<number, PciDevice>()

  constructor(domain: number, number: number, parent: PciBus | null, bridge: PciDevice | null) {
    this.domain = domain
    this.number = number
    this.parent = parent
    this.bridge = bridge
    this.lastNumber = number
  }

  /** The function at a place of this bus (pci_get_slot). */
  function(devfn: number): PciDevice | undefined {
    return this.#byDevfn.get(devfn)
  }

  add(device: PciDevice): void {
    this.devices.push(device)
    this.#byDevfn.set(device.devfn, device)
  }

  remove(device: PciDevice): void {
    const index = this.devices.indexOf(device)
    if (index >= 0) this.devices.splice(index, 1)
    if (this.#byDevfn.get(device.devfn) === device) this.#byDevfn.delete(device.devfn)
  }
}
