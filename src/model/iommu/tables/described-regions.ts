/**
 * Regions that firmware ties to a device: RMRRs of the DMAR table, unity maps of IVRS. A region of a
 * bridge holds for everything below it.
 */
import type { IommuDescription } from '../../machine/description.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { ReservedRegion } from '../unit.ts'
import { isAtOrBelow } from '../unit-scope.ts'

export function describedRegions(
  description: IommuDescription,
  device: PciDevice,
): ReservedRegion[] {
  return description.reserved
    .filter(({ at }) => isAtOrBelow(device, at))
    .map(({ start, end, kind }) => ({
      firstPage: Math.floor(Number(start) / 4096),
      lastPage: Math.floor(Number(end) / 4096),
      kind,
    }))
}
