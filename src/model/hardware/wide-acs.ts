/**
 * Root ports of Intel's Sunrise Point chipsets and their kin: their ACS capability and control are
 * dwords at +4 and +8 instead of words at +4 and +6. Intel admits it in a specification update
 * ("100 Series Chipset Family", erratum 23), and Linux has a list of them (drivers/pci/quirks.c).
 */
import { acsQuirksOf, quirkNames } from '../../pci/acs-quirks.ts'

export function hasWideAcs(vendor: number, device: number): boolean {
  if (vendor !== 0x8086) return false
  return acsQuirksOf(vendor).some(
    (entry) => entry.grant === 'intel-spt' && quirkNames(entry, device),
  )
}
