import type { KernelContext } from '../context.ts'

/** What the drivers of IOMMU units use of the kernel. */
export type UnitContext = Pick<KernelContext, 'version' | 'memory' | 'log'>
