/**
 * The machine's file of names: /usr/share/misc/pci.ids as a distribution would put it there, with the
 * names that the description brings and those of common classes (PCI Code and ID Assignment
 * Specification). The layout is described in src/pci/pci-ids.ts.
 */

/** Base classes and sub-classes as pci.ids names them. */
const CLASSES: readonly (readonly [id: string, name: string])[] = [
  ['C 00', 'Unclassified device'],
  ['C 0000', 'Non-VGA unclassified device'],
  ['C 01', 'Mass storage controller'],
  ['C 0100', 'SCSI storage controller'],
  ['C 0101', 'IDE interface'],
  ['C 0104', 'RAID bus controller'],
  ['C 0106', 'SATA controller'],
  ['C 0107', 'Serial Attached SCSI controller'],
  ['C 0108', 'Non-Volatile memory controller'],
  ['C 02', 'Network controller'],
  ['C 0200', 'Ethernet controller'],
  ['C 0207', 'Infiniband controller'],
  ['C 0280', 'Network controller'],
  ['C 03', 'Display controller'],
  ['C 0300', 'VGA compatible controller'],
  ['C 0302', '3D controller'],
  ['C 0380', 'Display controller'],
  ['C 04', 'Multimedia controller'],
  ['C 0400', 'Multimedia video controller'],
  ['C 0401', 'Multimedia audio controller'],
  ['C 0403', 'Audio device'],
  ['C 05', 'Memory controller'],
  ['C 0500', 'RAM memory'],
  ['C 06', 'Bridge'],
  ['C 0600', 'Host bridge'],
  ['C 0601', 'ISA bridge'],
  ['C 0604', 'PCI bridge'],
  ['C 0607', 'CardBus bridge'],
  ['C 0680', 'Bridge'],
  ['C 07', 'Communication controller'],
  ['C 0700', 'Serial controller'],
  ['C 0780', 'Communication controller'],
  ['C 08', 'Generic system peripheral'],
  ['C 0805', 'SD Host controller'],
  ['C 0806', 'IOMMU'],
  ['C 0880', 'System peripheral'],
  ['C 0c', 'Serial bus controller'],
  ['C 0c00', 'FireWire (IEEE 1394)'],
  ['C 0c03', 'USB controller'],
  ['C 0c05', 'SMBus'],
  ['C 0d', 'Wireless controller'],
  ['C 0d80', 'Wireless controller'],
  ['C 10', 'Encryption controller'],
  ['C 11', 'Signal processing controller'],
  ['C 1180', 'Signal processing controller'],
  ['C 12', 'Processing accelerators'],
  ['C 1200', 'Processing accelerators'],
  ['C ff', 'Unassigned class'],
]

/** @param names "8086", "8086:10d3", "C 02", "C 0200" and what each is called */
export function pciIds(names: Readonly<Record<string, string>>): string {
  const all = new Map([...CLASSES, ...Object.entries(names)])
  const headings = new Map<string, string[]>()
  const below = (key: string): string[] => {
    const found = headings.get(key) ?? []
    headings.set(key, found)
    return found
  }
  for (const [id, name] of [...all].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const entry = /^(?:(C [0-9a-f]{2})|([0-9a-f]{4}):)([0-9a-f]{2,4})$/.exec(id)
    if (entry === null) below(id)
    else below(entry[1] ?? entry[2] ?? '').push(`\t${entry[3] ?? ''}  ${name}`)
  }
  const blocks = [...headings].map(
    ([id, entries]) => `${[`${id}  ${all.get(id) ?? unnamed(id)}`, ...entries].join('\n')}\n`,
  )
  // Vendors first, then classes, as in the real file; "C" sorts behind all digits but before a-f.
  const isClass = (block: string): boolean => block.startsWith('C ')
  return [...blocks.filter((block) => !isClass(block)), ...blocks.filter(isClass)].join('')
}

/** A heading of which only entries are known. */
function unnamed(id: string): string {
  return id.startsWith('C ') ? `Class ${id.slice(2)}` : `Vendor ${id}`
}
