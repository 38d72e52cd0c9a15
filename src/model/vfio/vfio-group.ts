/**
 * A group as VFIO shows it: /dev/vfio/<number> (drivers/vfio/group.c). It is there while at least one
 * member has a VFIO driver, and one program at a time may open it. Opening it changes nothing: whether
 * the group can be had is decided when it joins a container.
 *
 *     open --> GET_STATUS: viable? --> SET_CONTAINER (claims the group) --> GET_DEVICE_FD
 *
 * When the last member leaves VFIO the open file stays, but there is nothing behind it any more.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { Device } from '../driver-core/device.ts'
import { Errno } from '../errno.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { IoctlArgument, OpenFile, Process } from '../process.ts'
import { Container } from './container.ts'
import type { DeviceNode } from './device-nodes.ts'
import { sizedBuffer, userBuffer, userString } from './user-buffer.ts'
import { GROUP_CONTAINER_SET, GROUP_VIABLE, REQUEST } from './vfio-abi.ts'
import { DeviceFile, type VfioDevice } from './vfio-device.ts'
import type { VfioServices } from './vfio-services.ts'

export class VfioGroup {
  readonly node: DeviceNode
  /** /sys/devices/virtual/vfio/<number> */
  readonly classDevice: Device
  readonly minor: number
  /** Null once the last member has left VFIO. */
  iommuGroup: IommuGroup | null
  /** Members that can be opened. */
  readonly devices: VfioDevice[] = []
  /** Members with a VFIO driver, whether registered yet or not. */
  drivers = 1
  openedFile: GroupFile | null = null
  container: Container | null = null
  readonly #services: VfioServices

  constructor(
    services: VfioServices,
    iommuGroup: IommuGroup,
    classDevice: Device,
    node: DeviceNode,
    minor: number,
  ) {
    this.#services = services
    this.iommuGroup = iommuGroup
    this.classDevice = classDevice
    this.node = node
    this.minor = minor
  }

  /** @throws Errno ENODEV (on its way out), EBUSY (somebody has it) */
  open(): OpenFile {
    if (this.drivers === 0) throw new Errno('ENODEV')
    if (this.openedFile !== null) throw new Errno('EBUSY', 'the group is open')
    this.openedFile = new GroupFile(this)
    return this.openedFile
  }

  get usable(): boolean {
    return this.container !== null && this.container.backend !== null && this.#viable()
  }

  /** GET_STATUS. */
  status(): number {
    const { iommuGroup, container } = this
    const { context, iommu } = this.#services
    if (iommuGroup === null) throw new Errno('ENODEV')
    if (!atLeast(context.version, 5, 19)) {
      return (this.#viable() ? GROUP_VIABLE : 0) | (container === null ? 0 : GROUP_CONTAINER_SET)
    }
    if (container !== null) return GROUP_VIABLE | GROUP_CONTAINER_SET
    return iommu.isViable(iommuGroup) ? GROUP_VIABLE : 0
  }

  setContainer(file: OpenFile): void {
    if (this.container !== null) throw new Errno('EINVAL', 'the group has a container')
    const { iommuGroup } = this
    if (iommuGroup === null) throw new Errno('ENODEV')
    if (!(file instanceof Container)) {
      throw new Errno(atLeast(this.#services.context.version, 6, 2) ? 'EBADFD' : 'EINVAL')
    }
    file.attach(iommuGroup, this)
    this.container = file
  }

  unsetContainer(): void {
    if (this.container === null) throw new Errno('EINVAL', 'the group has no container')
    if (this.devices.some(({ openCount }) => openCount > 0)) throw new Errno('EBUSY')
    this.detach()
  }

  detach(): void {
    const { container, iommuGroup } = this
    if (container === null || iommuGroup === null) return
    container.detach(iommuGroup)
    this.container = null
  }

  /** GET_DEVICE_FD. @param name "0000:01:00.0", options may follow after a blank */
  openDevice(name: string): OpenFile {
    // Before 5.19 the group was looked at first; it alone kept users out of a group with kernel drivers.
    if (!atLeast(this.#services.context.version, 5, 19) && !this.usable) throw new Errno('EINVAL')
    const device = this.devices.find(({ operations }) => operations.match(name))
    if (device === undefined) throw new Errno('ENODEV', `"${name}" is not in the group`)
    const { openedFile } = this
    if (openedFile === null || this.container === null || this.container.backend === null) {
      throw new Errno('EINVAL', 'no container, or no IOMMU set')
    }
    device.open()
    return new DeviceFile(device, openedFile)
  }

  #viable(): boolean {
    const { iommuGroup } = this
    if (atLeast(this.#services.context.version, 5, 19)) return true
    return iommuGroup !== null && this.#services.iommu.isViable(iommuGroup)
  }
}

class GroupFile implements OpenFile {
  readonly kind = 'vfio-group'
  readonly group: VfioGroup

  constructor(group: VfioGroup) {
    this.group = group
  }

  /** The name stays with the open file when devtmpfs takes the node away. */
  path(): string {
    const { node, drivers } = this.group
    return `/dev/${node.path}${drivers === 0 ? ' (deleted)' : ''}`
  }

  ioctl(request: number, argument: IoctlArgument, process: Process): number {
    const { group } = this
    switch (request) {
      case REQUEST.groupGetStatus: {
        const buffer = sizedBuffer(argument, 8)
        buffer.setU32(4, group.status())
        return 0
      }
      case REQUEST.groupSetContainer:
        group.setContainer(process.file(userBuffer(argument).s32(0)))
        return 0
      case REQUEST.groupUnsetContainer:
        group.unsetContainer()
        return 0
      case REQUEST.groupGetDeviceFd:
        return process.install(group.openDevice(userString(argument)))
      default:
        throw new Errno('ENOTTY')
    }
  }

  release(): undefined {
    this.group.detach()
    this.group.openedFile = null
    return undefined
  }
}

/** Whether an open file is a group's, and of which. */
export function groupOfFile(file: OpenFile): VfioGroup | null {
  return file instanceof GroupFile ? file.group : null
}
