/**
 * Capability names as lspci prints them, back to capability ids.
 *
 * Matched by how the text begins, in order, since lspci appends details ("MSI: Enable+ Count=1/1").
 * Sources: pciutils ls-caps.c and ls-ecaps.c; the numbers are from PCI Code and ID Assignment.
 */

const STANDARD: readonly (readonly [string, number])[] = [
  ['Null', 0x00],
  ['Power Management', 0x01],
  ['AGP3', 0x0e],
  ['AGP', 0x02],
  ['Vital Product Data', 0x03],
  ['Slot ID', 0x04],
  ['MSI-X', 0x11],
  ['MSI', 0x05],
  ['Message Signalled Interrupts', 0x05],
  ['CompactPCI hot-swap', 0x06],
  ['PCI-X', 0x07],
  ['HyperTransport', 0x08],
  ['Vendor Specific', 0x09],
  ['Debug port', 0x0a],
  ['CompactPCI central', 0x0b],
  ['Hot-plug capable', 0x0c],
  ['Subsystem', 0x0d],
  ['Secure device', 0x0f],
  ['Express', 0x10],
  ['SATA HBA', 0x12],
  ['PCI Advanced Features', 0x13],
  ['Enhanced Allocation', 0x14],
  ['Flattening Portal Bridge', 0x15],
]

const EXTENDED: readonly (readonly [string, number])[] = [
  ['Null', 0x00],
  ['Advanced Error Reporting', 0x01],
  ['Virtual Channel', 0x02],
  ['Device Serial Number', 0x03],
  ['Power Budgeting', 0x04],
  ['Root Complex Link', 0x05],
  ['Root Complex Internal Link', 0x06],
  ['Root Complex Event Collector', 0x07],
  ['Multi-Function Virtual Channel', 0x08],
  ['Root Complex Register Block', 0x0a],
  ['Vendor Specific', 0x0b],
  ['Access Control', 0x0d],
  ['Alternative Routing-ID', 0x0e],
  ['Address Translation Service', 0x0f],
  ['Single Root I/O Virt', 0x10],
  ['Multi-Root I/O Virt', 0x11],
  ['Multicast', 0x12],
  ['Page Request Interface', 0x13],
  ['Physical Resizable BAR', 0x15],
  ['Resizable BAR', 0x15],
  ['Dynamic Power Allocation', 0x16],
  ['Transaction Processing Hints', 0x17],
  ['Latency Tolerance Reporting', 0x18],
  ['Secondary PCI Express', 0x19],
  ['Protocol Multiplexing', 0x1a],
  ['Process Address Space ID', 0x1b],
  ['LN Requester', 0x1c],
  ['Downstream Port Containment', 0x1d],
  ['L1 PM Substates', 0x1e],
  ['Precision Time Measurement', 0x1f],
  ['PCI Express over M_PHY', 0x20],
  ['FRS Queueing', 0x21],
  ['Readiness Time Reporting', 0x22],
  ['Designated Vendor-Specific', 0x23],
  ['Virtual Resizable BAR', 0x24],
  ['Data Link Feature', 0x25],
  ['Physical Layer 16.0 GT/s', 0x26],
  ['Lane Margining', 0x27],
  ['Hierarchy ID', 0x28],
  ['Native PCIe Enclosure', 0x29],
  ['Physical Layer 32.0 GT/s', 0x2a],
  ['Data Object Exchange', 0x2e],
  ['Device 3', 0x2f],
  ['Integrity & Data Encryption', 0x30],
  ['Physical Layer 64.0 GT/s', 0x31],
]

/** The id of a standard (offset below 100) or extended capability; null for an unheard-of name. */
export function capabilityId(name: string, extended: boolean): number | null {
  const printed =
    /^(?:#|(?:Extended )?Capability ID (?:0x)?)([0-9a-f]{1,4})\b/i.exec(name) ??
    // pciutils 2.2 printed capabilities that it did not know in decimal.
    /^Unknown \((\d{1,3})\)/.exec(name)
  if (printed !== null) {
    return parseInt(printed[1] ?? '', name.startsWith('Unknown') ? 10 : 16)
  }
  const table = extended ? EXTENDED : STANDARD
  return table.find(([text]) => name.startsWith(text))?.[1] ?? null
}
