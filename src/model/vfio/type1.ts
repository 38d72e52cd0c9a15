/**
 * The type1 IOMMU backend of a container (drivers/vfio/vfio_iommu_type1.c): what programs on x86 and
 * most other machines use. Version 2 differs from 1 only in how it unmaps.
 */
import { Errno } from '../errno.ts'
import type { IommuGroup } from '../iommu/group.ts'
import type { IoctlArgument, Process } from '../process.ts'
import { DmaList } from './dma-list.ts'
import { dirtyPages } from './type1-dirty.ts'
import { attachToType1, detachFromType1 } from './type1-groups.ts'
import { getIommuInfo } from './type1-info.ts'
import { mapDma, unmapDma } from './type1-map.ts'
import type { Type1State } from './type1-state.ts'
import { userBuffer } from './user-buffer.ts'
import type { VfioServices } from './vfio-services.ts'
import { EXTENSION, REQUEST } from './vfio-abi.ts'

export class Type1 {
  readonly state: Type1State

  /**
   * vfio_iommu_type1_open()
   * @param type what SET_IOMMU was called with
   * @throws Errno EINVAL for an extension that is no type of IOMMU
   */
  constructor({ context, iommu, parameters }: VfioServices, type: number) {
    const { type1, type1v2, type1Nesting } = EXTENSION
    if (type !== type1 && type !== type1v2 && type !== type1Nesting) throw new Errno('EINVAL')
    this.state = {
      context,
      iommu,
      parameters,
      v2: type !== type1,
      nesting: type === type1Nesting,
      domains: [],
      mappings: new DmaList(),
      ranges: [],
      unitPages: 1,
      available: parameters.dmaEntryLimit.value,
      invalidAddresses: 0,
      dirtyTracking: false,
    }
  }

  attachGroup(group: IommuGroup): void {
    attachToType1(this.state, group)
  }

  detachGroup(group: IommuGroup): void {
    detachFromType1(this.state, group)
  }

  /** @throws Errno ENOTTY and what each request says */
  ioctl(request: number, argument: IoctlArgument, process: Process): number {
    switch (request) {
      case REQUEST.iommuGetInfo:
        getIommuInfo(this.state, argument)
        return 0
      case REQUEST.iommuMapDma:
        mapDma(this.state, userBuffer(argument), process)
        return 0
      case REQUEST.iommuUnmapDma:
        unmapDma(this.state, userBuffer(argument), process)
        return 0
      case REQUEST.iommuDirtyPages:
        dirtyPages(this.state, userBuffer(argument), process)
        return 0
      default:
        throw new Errno('ENOTTY')
    }
  }
}

/** vfio_iommu_type1_check_extension() @param backend null while no IOMMU is set */
export function checkExtension(backend: Type1 | null, extension: number): number {
  switch (extension) {
    case EXTENSION.type1:
    case EXTENSION.type1v2:
    case EXTENSION.type1Nesting:
    case EXTENSION.unmapAll:
      return 1
    case EXTENSION.updateVaddr:
      return backend === null ? 0 : 1
    case EXTENSION.dmaCoherent:
      if (backend === null) return 0
      return backend.state.domains.every(({ domain }) => domain.enforcesCoherency) ? 1 : 0
    default:
      return 0
  }
}
