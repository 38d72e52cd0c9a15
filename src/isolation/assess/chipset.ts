/** Parts of the chipset that serve the machine rather than a person. */

/** Host bridge, ISA bridge, interrupt controller, timer, clock, IOMMU (PCI Code and ID Assignment). */
const CHIPSET_CLASSES: ReadonlySet<number> = new Set([
  ...[0x0600, 0x0601, 0x0800, 0x0802, 0x0803, 0x0806],
])

/** @param classCode 24 bits: class, subclass, interface */
export function isChipsetClass(classCode: number): boolean {
  return CHIPSET_CLASSES.has(classCode >>> 8)
}
