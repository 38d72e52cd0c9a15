import type { KernelContext } from '../context.ts'
import { Errno } from '../errno.ts'
import type { IommuCore } from '../iommu/iommu-core.ts'
import type { PciSubsystem } from '../pci/pci-subsystem.ts'
import type { OpenFile, Process } from '../process.ts'
import type { Directory } from '../sysfs/node.ts'
export class VfioCore {
  constructor(context: KernelContext, iommu: IommuCore, pci: PciSubsystem) { void context; void iommu; void pci }
  /** /dev/vfio */
  nodes(): Directory { throw new Errno('ENOSYS') }
  /** @param path "/dev/vfio/vfio" */
  open(path: string, process: Process): OpenFile { void path; void process; throw new Errno('ENOSYS') }
}
