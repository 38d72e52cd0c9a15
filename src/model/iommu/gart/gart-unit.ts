/**
 * The driver of a GART: a unit that translates but does not isolate. It registers no iommu_ops, so its
 * devices get no group and no VFIO; kernel drivers map through the one context it has.
 */
import type { IommuDescription, UnitDescription } from '../../machine/description.ts'
import type { PciDevice } from '../../pci/pci-device.ts'
import type { IommuUnit, ReservedRegion } from '../unit.ts'
import type { UnitContext } from '../unit-context.ts'
import { unitInCharge } from '../unit-scope.ts'
import { GartDomain } from './gart-domain.ts'
import { GartHardware } from './gart-hardware.ts'

/** Where the aperture is and how large (32 MiB << order) when the description does not say. */
const USUAL = { aperture_base: 'dc000000', aperture_order: '1' } as const
const SMALLEST_PAGES = 8192

/**
 * Attributes read: `aperture_base` (hexadecimal address) and `aperture_order` (0-6).
 * @throws Errno ENOMEM
 */
export function gartUnits(
  context: UnitContext,
  description: IommuDescription,
): readonly IommuUnit[] {
  return description.units.map((unit) => gartUnit(context, description, unit))
}

function gartUnit(
  { memory }: UnitContext,
  { units }: IommuDescription,
  unit: UnitDescription,
): IommuUnit {
  const base = unit.attributes['aperture_base'] ?? USUAL.aperture_base
  const order = unit.attributes['aperture_order'] ?? USUAL.aperture_order
  const pages = SMALLEST_PAGES * 2 ** Number(order)
  const table = memory.allocate(pages / 1024)
  const aperture = { firstPage: Math.floor(parseInt(base, 16) / 4096), pages, table }
  const hardware = new GartHardware(memory, aperture)
  const domain = new GartDomain(memory, aperture, () => {
    hardware.invalidate()
  })
  return {
    name: unit.name,
    kind: 'gart',
    isolates: false,
    attributes: unit.attributes,
    isolatesInterrupts: false,
    hardware,
    covers: (device: PciDevice) => units[unitInCharge(units, device)] === unit,
    reservedRegions: (): readonly ReservedRegion[] => [],
    groupOf: () => null,
    groupName: () => null,
    requiredDomainType: () => null,
    // Whatever is asked for, there is only this one; pointing devices at it takes nothing.
    createDomain: () => domain,
    attach: () => undefined,
    release: () => undefined,
  }
}
