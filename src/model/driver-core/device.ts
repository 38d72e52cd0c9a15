/**
 * struct device: what every device has, whatever its bus. Devices are created by their bus (pci/, the
 * platform devices of a machine, vfio's own class devices), registered with `addDevice`
 * (driver-core/add-device.ts) and shown in sysfs by driver-core/device-directory.ts.
 */
import type { IommuGroup } from '../iommu/group.ts'
import type { Credentials } from '../process.ts'
import type { Directory, Link } from '../sysfs/node.ts'
import { Mutex, type Task } from '../task.ts'
import type { Bus } from './bus.ts'
import type { Driver } from './driver.ts'
import { RuntimePower } from './runtime-power.ts'

/**
 * A file of a device directory. Tables of attributes are shared by all devices of a kind, so the device
 * comes as an argument. Methods, not function properties: a table for PciDevice then fits Device.
 */
export interface Attribute<D = Device> {
  readonly name: string
  readonly mode: number
  /** Whether this device has the file (is_visible); absent = always. */
  visible?(device: D): boolean
  show?(device: D, who: Credentials): Uint8Array | string
  store?(device: D, bytes: Uint8Array, who: Credentials): Task<void>
}

export interface DeviceInit {
  /** Last part of the path: "0000:01:00.0". */
  readonly name: string
  /** The device whose directory holds this one; null for a root ("pci0000:00"). */
  readonly parent: Device | null
  /** Bus or null; devices of a class (net, vfio-dev) have no bus. */
  readonly bus: Bus | null
  /** Class name for the `subsystem` link of devices without a bus: "net", "vfio". */
  readonly className?: string
  /** Directory between parent and device: "net" in ".../0000:01:00.0/net/eth0". */
  readonly subdirectory?: string
  /** Absolute directory for devices without a parent: "/devices/virtual/vfio". */
  readonly root?: string
  /** "major:minor" of its device node and the node's path under /dev. */
  readonly node?: { readonly devt: string; readonly path: string; readonly mode: number }
  readonly attributes?: readonly Attribute[]
}

export class Device {
  readonly name: string
  readonly parent: Device | null
  readonly bus: Bus | null
  readonly className: string | null
  /** Without /sys: "/devices/pci0000:00/0000:00:01.0". */
  readonly path: string
  readonly subdirectory: string | null
  readonly node: NonNullable<DeviceInit['node']> | null
  /** Files beside those of the core; a driver or the bus may add tables later. */
  readonly attributes: (readonly Attribute[])[]
  /** Links made by others: "iommu", "iommu_group", "physfn", "virtfn0". By name. */
  readonly links: Map<string, Link> = new Map()
  /** Directories made by others: attribute groups with a name ("intel-iommu"), `devices` of an IOMMU. */
  readonly directories: Map<string, () => Directory> = new Map()
  /** By name, or by "net/eth0" where they are in a directory of their class. */
  readonly children: Map<string, Device> = new Map()
  /** device_lock: held around probe and remove. */
  readonly lock: Mutex
  readonly power: RuntimePower

  /** Set from before its probe until after its remove. The `driver` link has a shorter life. */
  driver: Driver | null = null
  /** What the driver keeps about the device (dev_set_drvdata). */
  driverData: unknown = null
  driverOverride: string | null = null
  /** On the bus and in sysfs. */
  registered = false
  /**
   * device_add is far enough that a driver may have it: it is in its group, and it was announced
   * (DEV_FLAG_READY_TO_PROBE). Until then whoever finds it on the bus is told to come again.
   */
  readyToProbe = false
  /** device_del has begun (dev->p->dead): no driver may bind any more. */
  dead = false
  /** Whether its bus lets it match at all: PCI does not between device_add and pci_bus_add_device. */
  matchable = true
  iommuGroup: IommuGroup | null = null
  /** KEY=value pairs that every uevent of the device carries, in the kernel's order. */
  ueventVariables: () => readonly (readonly [key: string, value: string])[] = () => []

  constructor(init: DeviceInit) {
    this.name = init.name
    this.parent = init.parent
    this.bus = init.bus
    this.className = init.className ?? null
    this.subdirectory = init.subdirectory ?? null
    const above = init.parent?.path ?? init.root ?? '/devices'
    this.path = [above, init.subdirectory, init.name].filter((part) => part !== undefined).join('/')
    this.node = init.node ?? null
    this.attributes = init.attributes === undefined ? [] : [init.attributes]
    this.lock = new Mutex(init.name)
    this.power = new RuntimePower(init.parent?.power ?? null)
  }
}
