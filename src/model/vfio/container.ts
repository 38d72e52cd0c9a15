/**
 * A container: /dev/vfio/vfio (drivers/vfio/container.c). It is one address space for any number of
 * groups, and by itself gives no power: only who may open a group's node gets something out of it.
 *
 *     opened --group joins--> has groups --SET_IOMMU--> maps memory
 *        ^                                                 |
 *        '------------------ last group leaves ------------'
 */
import { Errno } from '../errno.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { IoctlArgument, OpenFile, Process } from '../process.ts'
import { checkExtension, Type1 } from './type1.ts'
import { plainValue } from './user-buffer.ts'
import { REQUEST } from './vfio-abi.ts'
import type { VfioServices } from './vfio-services.ts'

const API_VERSION = 0

export class Container implements OpenFile {
  readonly kind = 'vfio-container'
  readonly path = (): string => '/dev/vfio/vfio'
  readonly #services: VfioServices
  /** Newest first. */
  readonly #groups: IommuGroup[] = []
  #backend: Type1 | null = null

  constructor(services: VfioServices) {
    this.#services = services
  }

  /** Null until SET_IOMMU. */
  get backend(): Type1 | null {
    return this.#backend
  }

  /**
   * vfio_container_attach_group(): claims the group, and joins it to the address space if there is one.
   * @param owner identifies the user of the group @throws Errno EPERM, EBUSY, EINVAL
   */
  attach(group: IommuGroup, owner: object): void {
    this.#services.iommu.claim(group, owner)
    try {
      this.#backend?.attachGroup(group)
    } catch (error) {
      this.#services.iommu.release(group)
      throw error
    }
    this.#groups.unshift(group)
  }

  /** vfio_group_detach_container(): the last group takes the address space with it. */
  detach(group: IommuGroup): void {
    this.#backend?.detachGroup(group)
    this.#services.iommu.release(group)
    this.#groups.splice(this.#groups.indexOf(group), 1)
    if (this.#groups.length === 0) this.#backend = null
  }

  ioctl(request: number, argument: IoctlArgument, process: Process): number {
    switch (request) {
      case REQUEST.getApiVersion:
        return API_VERSION
      case REQUEST.checkExtension:
        return checkExtension(this.#backend, plainValue(argument))
      case REQUEST.setIommu:
        this.#setIommu(plainValue(argument))
        return 0
      default:
        if (this.#backend === null) throw new Errno('EINVAL', 'no IOMMU is set')
        return this.#backend.ioctl(request, argument, process)
    }
  }

  /** Its groups keep what they share; a container without groups has nothing to undo. */
  release(): undefined {
    return undefined
  }

  #setIommu(type: number): void {
    if (this.#groups.length === 0 || this.#backend !== null) throw new Errno('EINVAL')
    if (checkExtension(null, type) === 0) throw new Errno('ENODEV', 'no such type of IOMMU')
    const backend = new Type1(this.#services, type)
    const attached: IommuGroup[] = []
    try {
      for (const group of this.#groups) {
        backend.attachGroup(group)
        attached.unshift(group)
      }
    } catch (error) {
      for (const group of attached) backend.detachGroup(group)
      throw error
    }
    this.#backend = backend
  }
}
