/** What the parts of VFIO share. */
import type { KernelContext } from '../context.ts'
import type { IommuCore } from '../iommu/iommu-core.ts'
import type { VfioParameters } from './module-parameters.ts'

export interface VfioServices {
  readonly context: KernelContext
  readonly iommu: IommuCore
  readonly parameters: VfioParameters
}
