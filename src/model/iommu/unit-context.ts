/** What a driver of IOMMU units needs of the kernel around it, so that tests need no more either. */
import type { KernelContext } from '../context.ts'

/** What the drivers of IOMMU units use of the kernel. */
export type UnitContext = Pick<KernelContext, 'version' | 'memory' | 'log'>
