/**
 * VFIO: devices in the hands of user-space drivers, whole groups at a time (drivers/vfio/vfio_main.c,
 * group.c). It never binds and never unbinds anything: devices come here because somebody bound them to
 * a VFIO driver, one by one.
 *
 *     driver's probe --> group (new? then its node appears) --> <device>/vfio-dev/vfioN --> can be opened
 *     driver's remove --> no new opens --> users are asked and waited for --> last one: the node vanishes
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { KernelContext } from '../context.ts'
import { addDevice, removeDevice } from '../driver-core/add-device.ts'
import { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { IommuCore } from '../iommu/iommu-core.ts'
import type { PciSubsystem } from '../pci/pci-subsystem.ts'
import type { OpenFile, Process } from '../process.ts'
import type { Directory } from '../sysfs/node.ts'
import { Mutex, runNow, type Task } from '../task.ts'
import { Container } from './container.ts'
import { checkAccess, type DeviceNode, deviceNode, nodeFile } from './device-nodes.ts'
import { type VfioParameters, vfioParameters } from './module-parameters.ts'
import { VfioDevice, type VfioOperations } from './vfio-device.ts'
import { VfioGroup } from './vfio-group.ts'
import type { VfioServices } from './vfio-services.ts'

/** Where dynamic character device numbers start to be handed out downwards; usual for vfio. */
const GROUP_MAJOR = 245
const CONTAINER_DEVT = '10:196'

export class VfioCore implements VfioServices {
  readonly context: KernelContext
  readonly iommu: IommuCore
  readonly pci: PciSubsystem
  readonly parameters: VfioParameters
  readonly #container: DeviceNode = deviceNode('vfio/vfio', CONTAINER_DEVT, 0o666)
  readonly #groups: VfioGroup[] = []
  readonly #indexes = new Set<number>()
  /** vfio.group_lock: groups come and go under it. */
  readonly #lock = new Mutex('vfio groups')

  /** Loads the modules vfio and vfio_iommu_type1. */
  constructor(context: KernelContext, iommu: IommuCore, pci: PciSubsystem) {
    this.context = context
    this.iommu = iommu
    this.pci = pci
    this.parameters = vfioParameters(context.commandLine)
    context.devices.addClass('vfio')
    if (this.#hasClassDevices) context.devices.addClass('vfio-dev')
    const { path, devt, mode } = this.#container
    runNow(
      addDevice(
        context,
        new Device({
          name: 'vfio',
          parent: null,
          bus: null,
          className: 'misc',
          root: '/devices/virtual/misc',
          node: { devt, path, mode },
        }),
      ),
    )
  }

  /** /dev/vfio */
  nodes(): Directory {
    const names = (): string[] => this.#nodes().map(({ path }) => path.slice('vfio/'.length))
    return {
      kind: 'directory',
      list: names,
      find: (name) => {
        const node = this.node(`/dev/vfio/${name}`)
        return node === undefined ? undefined : nodeFile(node)
      },
    }
  }

  /** Owner and mode of a node, for stat, chown and chmod. @param path "/dev/vfio/9" */
  node(path: string): DeviceNode | undefined {
    return this.#nodes().find((node) => `/dev/${node.path}` === path)
  }

  /**
   * open(2), for reading and writing.
   * @param path "/dev/vfio/vfio" or "/dev/vfio/9"
   * @throws Errno ENOENT, EACCES, EBUSY (a group that is open), ENODEV
   */
  open(path: string, process: Process): OpenFile {
    const node = this.node(path)
    if (node === undefined) throw new Errno('ENOENT', path)
    checkAccess(node, process)
    const group = this.#groups.find((candidate) => candidate.node === node)
    return group === undefined ? new Container(this) : group.open()
  }

  /**
   * vfio_register_group_dev(), from a driver's probe.
   * @throws Errno EINVAL when the device has no group: without an IOMMU there is nothing to hand over
   */
  *registerDevice(device: Device, operations: VfioOperations): Task<VfioDevice> {
    const index = lowestFree(this.#indexes)
    this.#indexes.add(index)
    try {
      const { iommuGroup } = device
      if (iommuGroup === null) throw new Errno('EINVAL', `${device.name} is in no IOMMU group`)
      const group = yield* this.#joinGroup(iommuGroup)
      const classDevice = this.#hasClassDevices ? classDeviceOf(device, index) : null
      if (classDevice !== null) yield* addDevice(this.context, classDevice)
      const registered = new VfioDevice(device, operations, group, classDevice, index)
      group.devices.unshift(registered)
      return registered
    } catch (error) {
      this.#indexes.delete(index)
      throw error
    }
  }

  /** vfio_unregister_group_dev(): sleeps until nobody has the device open. */
  *unregisterDevice(registered: VfioDevice): Task<void> {
    const { group, classDevice } = registered
    const removesFirst = atLeast(this.context.version, 6, 6)
    const leave = (): void => {
      group.devices.splice(group.devices.indexOf(registered), 1)
    }
    // Until 6.5 the device could be opened once more by who had it open, right to the end.
    if (removesFirst) {
      leave()
      if (classDevice !== null) yield* removeDevice(this.context, classDevice)
    }
    yield* registered.waitForUsers()
    if (!removesFirst) {
      leave()
      if (classDevice !== null) yield* removeDevice(this.context, classDevice)
    }
    this.#indexes.delete(registered.index)
    yield* this.#leaveGroup(group)
  }

  /** vfio-dev came with 6.1. */
  get #hasClassDevices(): boolean {
    return atLeast(this.context.version, 6, 1)
  }

  #nodes(): readonly DeviceNode[] {
    const groups = this.#groups.filter(({ classDevice }) => classDevice.registered)
    return [this.#container, ...groups.map(({ node }) => node)]
  }

  /** vfio_group_find_or_alloc() */
  *#joinGroup(iommuGroup: IommuGroup): Task<VfioGroup> {
    yield* this.#lock.acquire()
    try {
      const existing = this.#groups.find((group) => group.iommuGroup === iommuGroup)
      if (existing === undefined) return yield* this.#createGroup(iommuGroup)
      existing.drivers += 1
      return existing
    } finally {
      this.#lock.release()
    }
  }

  *#createGroup(iommuGroup: IommuGroup): Task<VfioGroup> {
    this.iommu.hold(iommuGroup)
    const minor = lowestFree(new Set(this.#groups.map((group) => group.minor)))
    const id = String(iommuGroup.id)
    const node = deviceNode(`vfio/${id}`, `${String(GROUP_MAJOR)}:${String(minor)}`, 0o600)
    const { devt, path, mode } = node
    const classDevice = new Device({
      name: id,
      parent: null,
      bus: null,
      className: 'vfio',
      root: '/devices/virtual/vfio',
      node: { devt, path, mode },
    })
    const group = new VfioGroup(this, iommuGroup, classDevice, node, minor)
    this.#groups.push(group)
    yield* addDevice(this.context, classDevice)
    return group
  }

  /** vfio_device_remove_group(): with the last member the node goes, and what an open file had. */
  *#leaveGroup(group: VfioGroup): Task<void> {
    yield* this.#lock.acquire()
    try {
      group.drivers -= 1
      if (group.drivers > 0) return
      yield* removeDevice(this.context, group.classDevice)
      this.#groups.splice(this.#groups.indexOf(group), 1)
      group.detach()
      const { iommuGroup } = group
      group.iommuGroup = null
      if (iommuGroup !== null) this.iommu.drop(iommuGroup)
    } finally {
      this.#lock.release()
    }
  }
}

function classDeviceOf(device: Device, index: number): Device {
  return new Device({
    name: `vfio${String(index)}`,
    parent: device,
    bus: null,
    className: 'vfio-dev',
    subdirectory: 'vfio-dev',
  })
}

function lowestFree(taken: ReadonlySet<number>): number {
  let number = 0
  while (taken.has(number)) number += 1
  return number
}
