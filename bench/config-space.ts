/**
 * Writes configuration space as hardware shows it: header, standard and extended capability lists.
 *
 * Only what programs look at is filled in: identity, class, bridge bus numbers, PCI Express, SR-IOV
 * and ACS, with the neighbours that real lists have (power management, MSI-X, AER, ARI) so that a
 * walk is as long as on real functions. PCI Express Base Specification 7.5-7.9.
 */
export interface ConfigDescription {
  readonly vendor: number
  readonly device: number
  readonly classCode: number
  readonly revision: number
  readonly subsystemVendor: number
  readonly subsystemDevice: number
  readonly multifunction: boolean
  /** Primary, secondary and subordinate bus of a bridge; null for anything else. */
  readonly buses: readonly [primary: number, secondary: number, subordinate: number] | null
  /** Device/port type of the PCI Express capability; null = a conventional function of 256 bytes. */
  readonly type: number | null
  readonly acs: readonly [capability: number, control: number] | null
  readonly sriov: {
    readonly vfs: number
    readonly offset: number
    readonly vfDevice: number
  } | null
  /** A virtual function shows ffff for its ids. */
  readonly virtual: boolean
}

const FLR = 1 << 28

/** @returns 256 bytes for a conventional function, else 4096 */
export function writeConfigSpace(fn: ConfigDescription): Uint8Array {
  const bytes = new Uint8Array(fn.type === null ? 256 : 4096)
  const view = new DataView(bytes.buffer)
  writeHeader(view, fn)
  writeStandardList(view, fn)
  if (fn.type !== null) writeExtendedList(view, fn)
  return bytes
}

function writeHeader(view: DataView, fn: ConfigDescription): void {
  view.setUint16(0x00, fn.virtual ? 0xffff : fn.vendor, true)
  view.setUint16(0x02, fn.virtual ? 0xffff : fn.device, true)
  view.setUint16(0x04, 0x0406, true)
  view.setUint16(0x06, 0x0010, true)
  view.setUint32(0x08, ((fn.classCode << 8) | fn.revision) >>> 0, true)
  view.setUint8(0x0e, (fn.multifunction ? 0x80 : 0) | (fn.buses === null ? 0 : 1))
  view.setUint8(0x34, 0x40)
  if (fn.buses === null) {
    view.setUint16(0x2c, fn.subsystemVendor, true)
    view.setUint16(0x2e, fn.subsystemDevice, true)
  } else {
    fn.buses.forEach((bus, n) => view.setUint8(0x18 + n, bus))
  }
}

function writeStandardList(view: DataView, fn: ConfigDescription): void {
  // Power management, version 3, then (PCI Express only) PCI Express and MSI-X.
  view.setUint16(0x40, fn.type === null ? 0x0001 : 0x7001, true)
  view.setUint16(0x42, 0x0003, true)
  if (fn.type === null) return
  view.setUint16(0x70, 0xb010, true)
  view.setUint16(0x72, 0x0002 | (fn.type << 4), true)
  view.setUint32(0x74, fn.buses === null ? FLR : 0x8000, true)
  view.setUint32(0x7c, 0x00437843, true)
  view.setUint16(0x82, 0x0043, true)
  view.setUint16(0xb0, 0x0011, true)
  view.setUint16(0xb2, 0x803f, true)
}

function writeExtendedList(view: DataView, fn: ConfigDescription): void {
  const list: [id: number, size: number, fill: (at: number) => void][] = [
    [0x0001, 0x48, () => undefined],
    [0x000e, 0x08, () => undefined],
  ]
  const { sriov, acs } = fn
  if (sriov !== null) {
    list.push([
      0x0010,
      0x40,
      (at) => {
        view.setUint16(at + 0x08, 0x0009, true)
        view.setUint16(at + 0x0c, sriov.vfs, true)
        view.setUint16(at + 0x0e, sriov.vfs, true)
        view.setUint16(at + 0x10, sriov.vfs, true)
        view.setUint16(at + 0x14, sriov.offset, true)
        view.setUint16(at + 0x16, 1, true)
        view.setUint16(at + 0x1a, sriov.vfDevice, true)
      },
    ])
  }
  if (acs !== null) {
    list.push([
      0x000d,
      0x08,
      (at) => {
        view.setUint16(at + 4, acs[0], true)
        view.setUint16(at + 6, acs[1], true)
      },
    ])
  }
  let at = 0x100
  list.forEach(([id, size, fill], n) => {
    const next = n === list.length - 1 ? 0 : at + size
    view.setUint32(at, ((next << 20) | 0x10000 | id) >>> 0, true)
    fill(at)
    at += size
  })
}
