/**
 * What a user may do to which register: the perm_bits tables of drivers/vfio/pci/vfio_pci_config.c.
 *
 *     virtual bits   live in a copy: base addresses, ids of virtual functions, the capability chain
 *     writable bits  virtual ones change the copy, the others the device
 *     all else       reads the device and ignores writes
 *
 * What no capability claims is open, since some devices hide registers there; the isolation of the device,
 * not the filtering of its registers, is what protects the host.
 */

export interface Permissions {
  /** "raw": straight through. "direct": reads the device, except the chain; writes as below. */
  readonly read: 'table' | 'direct' | 'raw'
  readonly write: 'table' | 'raw' | 'none'
  /** Masks by byte of the capability; empty when no table is used. */
  readonly virtual: Uint8Array
  readonly writable: Uint8Array
}

const NOTHING = new Uint8Array(0)
/** Capabilities without a table: read-only. */
const READ_ONLY: Permissions = {
  read: 'direct',
  write: 'none',
  virtual: NOTHING,
  writable: NOTHING,
}
const VENDOR: Permissions = { read: 'direct', write: 'raw', virtual: NOTHING, writable: NOTHING }
/** Bytes of no capability. */
export const UNCLAIMED: Permissions = {
  read: 'raw',
  write: 'raw',
  virtual: NOTHING,
  writable: NOTHING,
}

/** Offset, bytes, virtual bits, writable bits. */
type Row = readonly [offset: number, size: 1 | 2 | 4, virtual: number, writable: number]

const ALL = 0xffffffff
/** The pointer to the next capability is always virtual: the chain can then skip hidden ones. */
const NEXT: Row = [1, 1, ALL, 0]

const INTX_DISABLE = 0x400

const HEADER = table(64, [
  [0x00, 2, ALL, 0],
  [0x02, 2, ALL, 0],
  [0x04, 2, INTX_DISABLE, ALL],
  // There is a list of capabilities.
  [0x06, 2, 0x10, 0],
  [0x0c, 1, 0, ALL],
  [0x0d, 1, 0, ALL],
  [0x0f, 1, 0, ALL],
  ...[0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30].map((at): Row => [at, 4, ALL, ALL]),
  [0x34, 1, ALL, 0],
  [0x3c, 1, ALL, ALL],
  [0x3d, 1, ALL, 0],
])

const PME = 0x8100
const POWER_MANAGEMENT = table(8, [
  NEXT,
  [2, 2, 0xf800, 0],
  // The state bits are read-only: the kernel changes the state on the user's behalf.
  [4, 4, PME, ~(PME | 0x3)],
])

const PRODUCT_DATA = table(8, [NEXT, [2, 2, ALL, ALL], [4, 4, ALL, ALL]])
const PCI_X = table(24, [NEXT, [2, 2, 0, ALL], [8, 4, 0, ALL]])

const FLR = 0x8000
const MAX_PAYLOAD = 0xe0
const MAX_READ = 0x7000
const PHANTOM = 0x200
const ARI = 0x20
const EXPRESS = table(60, [
  NEXT,
  [0x08, 2, FLR | MAX_PAYLOAD | MAX_READ, ~PHANTOM],
  [0x28, 2, 0, ~ARI],
])

const ADVANCED_FEATURES = table(6, [NEXT, [4, 1, 1, 1]])

const UNCORRECTABLE = 0x03fff030
const CORRECTABLE = 0xf1c1
const ERRORS = table(44, [
  [0x00, 4, ALL, 0],
  [0x04, 4, 0, UNCORRECTABLE],
  [0x08, 4, 0, UNCORRECTABLE],
  [0x0c, 4, 0, UNCORRECTABLE],
  [0x10, 4, 0, CORRECTABLE],
  [0x14, 4, 0, CORRECTABLE],
  [0x18, 4, 0, 0x140],
])

const POWER_BUDGET = table(16, [
  [0x00, 4, ALL, 0],
  [0x04, 1, 0, ALL],
])

/** Permissions of the header (id 0) or a capability. @param control flags of an MSI capability */
export function permissions(id: number, control: number): Permissions {
  switch (id) {
    case 0:
      return HEADER
    case 0x01:
      return POWER_MANAGEMENT
    case 0x03:
      return PRODUCT_DATA
    case 0x05:
      return messagePermissions(control)
    case 0x07:
      return PCI_X
    case 0x09:
      return VENDOR
    case 0x10:
      return EXPRESS
    case 0x13:
      return ADVANCED_FEATURES
    default:
      return READ_ONLY
  }
}

export function extendedPermissions(id: number): Permissions {
  if (id === 0x01) return ERRORS
  if (id === 0x04) return POWER_BUDGET
  return id === 0x0b || id === 0x23 ? VENDOR : READ_ONLY
}

/** MSI: addresses and data are the kernel's; only masking reaches the device. */
function messagePermissions(control: number): Permissions {
  const wide = (control & 0x80) !== 0
  const maskable = (control & 0x100) !== 0
  const data = wide ? 12 : 8
  const rows: Row[] = [NEXT, [2, 1, ALL, ALL], [4, 4, ALL, ALL], [data, 2, ALL, ALL]]
  if (wide) rows.push([8, 4, ALL, ALL])
  if (maskable) rows.push([data + 4, 4, 0, ALL], [data + 8, 4, 0, ALL])
  return table(24, rows)
}

function table(length: number, rows: readonly Row[]): Permissions {
  const virtual = new Uint8Array(length)
  const writable = new Uint8Array(length)
  for (const [offset, size, virtualBits, writableBits] of rows) {
    for (let n = 0; n < size; n += 1) {
      virtual[offset + n] = virtualBits >>> (8 * n)
      writable[offset + n] = writableBits >>> (8 * n)
    }
  }
  return { read: 'table', write: 'table', virtual, writable }
}
