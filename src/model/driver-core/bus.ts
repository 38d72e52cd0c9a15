/**
 * struct bus_type: devices, drivers, and the notifier chain on which IOMMU drivers hear of devices as
 * they appear (the seed's bus_register_notifier).
 */
import type { Node } from '../sysfs/node.ts'
import type { Device } from './device.ts'
import type { Driver } from './driver.ts'

/** include/linux/device/bus.h, in the order in which a device lives through them. */
export type BusEvent =
  | 'add-device'
  | 'bind-driver'
  | 'bound-driver'
  | 'driver-not-bound'
  | 'unbind-driver'
  | 'unbound-driver'
  | 'del-device'
  | 'removed-device'

export type Notifier = (event: BusEvent, device: Device) => void

export interface BusOperations {
  /** Whether the driver's own tables name the device; driver_override is the core's business. */
  match(device: Device, driver: Driver): boolean
  /** Before probe, with the lock held (bus_type.dma_configure): DMA set-up and DMA ownership. */
  configureDma(device: Device, driver: Driver): void
  /** After a failed probe or an unbind (bus_type.dma_cleanup). */
  cleanUpDma(device: Device, driver: Driver): void
}

export class Bus {
  /** "pci", "platform", "acpi" */
  readonly name: string
  readonly operations: BusOperations
  /** By name, in registration order. */
  readonly devices: Map<string, Device> = new Map()
  /** By name, in registration order. */
  readonly drivers: Map<string, Driver> = new Map()
  /**
   * Devices that each driver has, by name, the longest bound first. From before its probe until after
   * its remove, so longer than the link in the driver's directory.
   */
  readonly bound: Map<Driver, Map<string, Device>> = new Map()
  /** Devices whose probe asked to be tried again later (deferred_probe_pending_list). */
  readonly deferred: Set<Device> = new Set()
  /** Further files of the bus's directory ("rescan"). */
  files: Readonly<Record<string, () => Node | undefined>> = {}
  /** Further files of a driver's directory ("new_id"). */
  driverFiles: ((driver: Driver) => Readonly<Record<string, () => Node | undefined>>) | null = null
  /** drivers_autoprobe */
  autoprobe = true
  readonly #notifiers: Notifier[] = []

  constructor(name: string, operations: BusOperations) {
    this.name = name
    this.operations = operations
  }

  /** Called in registration order for every event of every device. */
  registerNotifier(notifier: Notifier): void {
    this.#notifiers.push(notifier)
  }

  notify(event: BusEvent, device: Device): void {
    for (const notifier of this.#notifiers) notifier(event, device)
  }
}
