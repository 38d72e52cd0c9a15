/**
 * Makes the IOMMU units that a machine describes, as the kernel does early at boot from the DMAR or IVRS
 * table (drivers/iommu/intel/dmar.c, drivers/iommu/amd/init.c) or the device tree.
 */
import type { IommuDescription } from '../machine/description.ts'
import { amdUnits } from './amd/amd-unit.ts'
import { gartUnits } from './gart/gart-unit.ts'
import { powerUnits } from './power/power-unit.ts'
import type { IommuUnit } from './unit.ts'
import type { UnitContext } from './unit-context.ts'
import { vtdUnits } from './vtd/vtd-unit.ts'

/** The units in the order in which they register; none of them is enabled for any device yet. */
export function createUnits(
  context: UnitContext,
  description: IommuDescription,
): readonly IommuUnit[] {
  switch (description.kind) {
    case 'intel':
      return vtdUnits(context, description)
    case 'amd':
      return amdUnits(context, description)
    case 'power':
      return powerUnits(context, description)
    case 'gart':
      return gartUnits(context, description)
  }
}
