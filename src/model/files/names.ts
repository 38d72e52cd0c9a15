/**
 * The machine's file of names: /usr/share/misc/pci.ids as a distribution would put it there, with the
 * names that the description brings and those of common classes and devices, as the PCI ID Repository
 * (https://pci-ids.ucw.cz, 3-clause BSD licence) has them. The layout: src/pci/pci-ids.ts.
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

/** The kinds of devices that machines are built from (hardware/devices/); what pci.ids lacks is left out. */
const DEVICES: readonly (readonly [id: string, name: string])[] = [
  ['104c', 'Texas Instruments'],
  ['104c:8232', 'XIO3130 PCI Express Switch (Upstream)'],
  ['104c:8233', 'XIO3130 PCI Express Switch (Downstream)'],
  ['10de', 'NVIDIA Corporation'],
  ['10de:10f0', 'GP104 High Definition Audio Controller'],
  ['10de:1b80', 'GP104 [GeForce GTX 1080]'],
  ['1af4', 'Red Hat, Inc.'],
  ['1af4:1041', 'Virtio 1.0 network device'],
  ['1b36', 'Red Hat, Inc.'],
  ['1b36:0001', 'QEMU PCI-PCI bridge'],
  ['1b36:000c', 'QEMU PCIe Root port'],
  ['1b36:000d', 'QEMU XHCI Host Controller'],
  ['1b36:0010', 'QEMU NVM Express Controller'],
  ['8086', 'Intel Corporation'],
  ['8086:100e', '82540EM Gigabit Ethernet Controller'],
  ['8086:10c9', '82576 Gigabit Network Connection'],
  ['8086:10ca', '82576 Virtual Function'],
  ['8086:10d3', '82574L Gigabit Network Connection'],
  ['8086:1d20', 'C600/X79 series chipset High Definition Audio Controller'],
  ['8086:2723', 'Wi-Fi 6 AX200'],
  ['8086:2918', '82801IB (ICH9) LPC Interface Controller'],
  ['8086:2922', '82801IR/IO/IH (ICH9R/DO/DH) 6 port SATA Controller [AHCI mode]'],
  ['8086:2930', '82801I (ICH9 Family) SMBus Controller'],
  ['8086:293e', '82801I (ICH9 Family) HD Audio Controller'],
  ['8086:29c0', '82G33/G31/P35/P31 Express DRAM Controller'],
  ['8086:5917', 'UHD Graphics 620'],
]

/** What pci.ids calls a vendor that machines are built from. @param id "8086" */
export function vendorName(id: string): string | undefined {
  return DEVICES.find(([known]) => known === id)?.[1]
}

/** @param names "8086", "8086:10d3", "C 02", "C 0200" and what each is called */
export function pciIds(names: Readonly<Record<string, string>>): string {
  const all = new Map([...CLASSES, ...DEVICES, ...Object.entries(names)])
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
