/**
 * Devices whose isolation the kernel knows better than their registers tell: the table
 * pci_dev_acs_enabled of drivers/pci/quirks.c (identical in 6.1.192 and 6.12.117), in its order.
 * `since` is the first mainline release with an entry; see hasEntry for long-term kernels.
 *
 * Grants, in the kernel's terms:
 * - `endpoint`: the vendor states that the functions of the chip do not talk to each other
 * - `path`: a port without an ACS capability that has no peer-to-peer path; as if SV|RR|CR|UF were on
 * - `integrated`: Intel root complex integrated endpoints: VT-d requires their isolation
 * - `amd-southbridge`: multifunction southbridge devices on the root bus, when ACPI IVRS is present
 * - `intel-pch`: root ports on which the kernel switches peer decode off in chipset registers
 * - `intel-spt`: root ports with an ACS capability in a layout of their own (dwords at +4 and +8)
 * - `none`: the capability is there but does not isolate
 */
import { atLeast, type KernelVersion } from '../base/kernel-version.ts'

export type AcsGrant =
  | 'endpoint'
  | 'path'
  | 'integrated'
  | 'amd-southbridge'
  | 'intel-pch'
  | 'intel-spt'
  | 'none'

export interface AcsQuirk {
  readonly vendor: number
  /** Single ids and inclusive ranges; null = any device of the vendor. */
  readonly devices: readonly (number | readonly [number, number])[] | null
  /** Only these PCI Express types; null = any. */
  readonly types: readonly number[] | null
  readonly grant: AcsGrant
  /** First mainline version that has the entry; null = older than every kernel of interest (4.19). */
  readonly since: readonly [number, number] | null
  readonly who: string
  /**
   * Classes that the named devices have: base class (0x02) or base and sub-class (0x0604). Only for
   * deciding whether a function of unknown id could be meant; null = any.
   */
  readonly classes: readonly number[] | null
}

const ROOT_PORT = [4]
const ROOT_OR_DOWNSTREAM = [4, 6]

function evens(from: number, to: number): number[] {
  const ids: number[] = []
  for (let id = from; id <= to; id += 2) ids.push(id)
  return ids
}

function quirk(
  who: string,
  vendor: number,
  devices: AcsQuirk['devices'],
  grant: AcsGrant,
  limits: {
    types?: readonly number[]
    since?: readonly [number, number]
    classes?: readonly number[]
  } = {},
): AcsQuirk {
  const { types = null, since = null, classes = null } = limits
  // "NIC" in a row's name is its class: one place to say it.
  return {
    who,
    vendor,
    devices,
    grant,
    types,
    since,
    classes: who.endsWith('NIC') ? [0x02] : classes,
  }
}

/** Root ports without ACS whose peer decode the kernel switches off (list A: Ibex Peak to Wellsburg). */
const INTEL_PCH_PORTS = [
  [0x3b42, 0x3b51],
  [0x1c10, 0x1c1f],
  [0x1e10, 0x1e1f],
  [0x8c10, 0x8c1f],
  [0x9c10, 0x9c1b],
  [0x9c90, 0x9c9b],
  ...evens(0x1d10, 0x1d1e),
  [0x8d10, 0x8d1e],
  ...evens(0x8c90, 0x8c9e),
] as const

/** Root ports with the wide register layout (list B: Sunrise Point, Union Point, Kaby Lake-LP). */
const INTEL_SPT_PORTS = [
  [0xa110, 0xa11f],
  [0xa167, 0xa16a],
  [0xa290, 0xa29f],
  [0xa2e7, 0xa2ee],
  [0x9d10, 0x9d1b],
] as const

// biome-ignore format: a table
const ACS_QUIRKS: readonly AcsQuirk[] = [
  quirk('AMD/ATI southbridge', 0x1002, [0x4385, 0x439c, 0x4383, 0x439d, 0x4384, 0x4399], 'amd-southbridge', { classes: [0x0101, 0x0403, 0x0601, 0x0604, 0x0c03, 0x0c05] }),
  quirk('AMD southbridge', 0x1022, [0x780f, 0x7809], 'amd-southbridge', { classes: [0x0604, 0x0c03] }),
  quirk('Solarflare NIC', 0x1924, [0x0903, 0x0923, 0x0a03], 'endpoint'),
  quirk('Intel 82598 NIC', 0x8086, [0x10c6, 0x10db, 0x10dd, 0x10e1, 0x10f1], 'endpoint'),
  quirk('Intel 82599/X520 NIC', 0x8086, [[0x10f7, 0x10fc], 0x1507, 0x1514, 0x151c, 0x1529, 0x152a, 0x154d, 0x154f, 0x1551, 0x1558], 'endpoint'),
  quirk('Intel 82580 NIC', 0x8086, [0x1509, 0x150e, 0x150f, 0x1510, 0x1511, 0x1516, 0x1527], 'endpoint'),
  quirk('Intel 82576 NIC', 0x8086, [0x10c9, [0x10e6, 0x10e8], 0x150a, 0x150d, 0x1518, 0x1526], 'endpoint'),
  quirk('Intel 82575 NIC', 0x8086, [0x10a7, 0x10a9, 0x10d6], 'endpoint'),
  quirk('Intel I350 NIC', 0x8086, [[0x1521, 0x1524]], 'endpoint'),
  quirk('Intel 82571 NIC', 0x8086, [[0x105e, 0x1060], 0x10d9], 'endpoint'),
  quirk('Intel I219 NIC', 0x8086, [0x15b7, 0x15b8], 'endpoint'),
  quirk('Intel integrated endpoint', 0x8086, null, 'integrated', { types: [9], since: [5, 8] }),
  quirk('Qualcomm root port', 0x17cb, [0x0400, 0x0401], 'path'),
  quirk('Qualcomm SA8775P root port', 0x17cb, [0x0115], 'path', { since: [6, 12] }),
  quirk('Qualcomm root port', 0x17cb, [0x0111, 0x0120], 'path', { since: [7, 0] }),
  quirk('HXT root port', 0x1dbf, [0x0401], 'path'),
  quirk('Intel PCH root port', 0x8086, INTEL_PCH_PORTS, 'intel-pch', { types: ROOT_PORT }),
  quirk('Intel Sunrise Point root port', 0x8086, INTEL_SPT_PORTS, 'intel-spt', { types: ROOT_PORT }),
  quirk('Emulex NIC', 0x19a2, [0x0710], 'endpoint'),
  quirk('Emulex NIC', 0x10df, [0x0720], 'endpoint'),
  quirk('Cavium root port', 0x177d, [[0xa000, 0xa7ff], 0xaf84, 0xb884], 'path', { types: ROOT_PORT }),
  quirk('Cavium endpoint', 0x177d, [0xa026, 0xa059, 0xa060], 'endpoint', { since: [5, 15] }),
  quirk('AMCC root port', 0x10e8, [0xe004], 'path'),
  quirk('Ampere root port', 0x1def, [[0xe005, 0xe00c]], 'path'),
  quirk('Broadcom NIC', 0x14e4, [0x16d7], 'endpoint', { since: [5, 13] }),
  quirk('Broadcom NIC', 0x14e4, [[0x1750, 0x1752]], 'endpoint', { since: [6, 0] }),
  quirk('Broadcom NIC', 0x14e4, [[0x1760, 0x1763]], 'endpoint', { since: [6, 11] }),
  quirk('Broadcom iProc root port', 0x14e4, [0xd714], 'path', { since: [5, 4] }),
  quirk('Loongson root port', 0x0014, [0x3c09, 0x3c19, 0x3c29, 0x7a09, 0x7a19, 0x7a29, 0x7a39, 0x7a49, 0x7a59, 0x7a69], 'path', { since: [6, 16] }),
  quirk('Annapurna Labs root port', 0x1c36, [0x0031], 'path', { types: ROOT_PORT, since: [5, 4] }),
  quirk('Zhaoxin multifunction device', 0x1d17, [0x3038, 0x3104, 0x9083], 'endpoint', { since: [5, 7] }),
  quirk('NXP root port', 0x1957, [[0x8d80, 0x8d83], [0x8d88, 0x8d8b], [0x8d90, 0x8d93], [0x8d98, 0x8d9b], 0x8da0, 0x8da1, 0x8da8, 0x8da9, 0x8db0, 0x8db1, 0x8db8, 0x8db9], 'path', { since: [5, 15] }),
  quirk('Zhaoxin port', 0x1d17, [[0x0710, 0x071e], 0x0721, [0x0723, 0x0732]], 'path', { types: ROOT_OR_DOWNSTREAM, since: [5, 7] }),
  quirk('Zhaoxin port', 0x1d17, [[0x0733, 0x0752]], 'path', { types: ROOT_OR_DOWNSTREAM, since: [6, 8] }),
  quirk('Zhaoxin port', 0x1d17, null, 'none', { types: ROOT_OR_DOWNSTREAM, since: [5, 7] }),
  quirk('Wangxun NIC', 0x8088, [[0x0100, 0x010f], 0x1001, 0x2001], 'path', { since: [6, 3] }),
  quirk('Wangxun NIC', 0x8088, [0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140], 'path', { since: [6, 13] }),
  quirk('Wangxun device', 0x8088, null, 'none', { since: [6, 3] }),
]

const BY_VENDOR: ReadonlyMap<number, readonly AcsQuirk[]> = indexByVendor()

function indexByVendor(): Map<number, AcsQuirk[]> {
  const index = new Map<number, AcsQuirk[]>()
  for (const entry of ACS_QUIRKS) {
    const list = index.get(entry.vendor)
    if (list === undefined) index.set(entry.vendor, [entry])
    else list.push(entry)
  }
  return index
}

/** Entries of a vendor, in table order. */
export function acsQuirksOf(vendor: number): readonly AcsQuirk[] {
  return BY_VENDOR.get(vendor) ?? []
}

/**
 * Series whose stable releases receive later entries too, nearly all of them: Debian's 6.1.192 and
 * 5.4.y of late 2025 have the table of 6.16. Their sublevel is not known from "5.4.0-47-generic".
 */
const LONG_TERM: readonly (readonly [number, number])[] = [
  [4, 19],
  [5, 4],
  [5, 10],
  [5, 15],
  [6, 1],
  [6, 6],
  [6, 12],
]

/** Whether a kernel of this version has the entry: mainline since then, or back-ported. */
export function hasEntry(entry: AcsQuirk, kernel: KernelVersion): boolean {
  if (entry.since === null || atLeast(kernel, entry.since[0], entry.since[1])) return true
  return LONG_TERM.some(([major, minor]) => major === kernel.major && minor === kernel.minor)
}

/** Whether a function of this vendor, type and class could be what the entry names. */
export function couldBeNamed(entry: AcsQuirk, type: number | null, classCode: number): boolean {
  if (entry.types !== null && (type === null || !entry.types.includes(type))) return false
  const { classes } = entry
  return classes === null || classes.includes(classCode >> 8) || classes.includes(classCode >> 16)
}

export function quirkNames(entry: AcsQuirk, device: number): boolean {
  if (entry.devices === null) return true
  return entry.devices.some((id) =>
    typeof id === 'number' ? id === device : device >= id[0] && device <= id[1],
  )
}
