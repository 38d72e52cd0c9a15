/**
 * Decodes configuration space bytes into ConfigFacts.
 *
 * The bytes come from hardware, captures and pasted dumps: every pointer is checked, every list is
 * bounded, and what does not make sense ends up in `damage`, never in an exception or a loop.
 * Register layout: PCI Local Bus Specification 3.0 chapter 6, PCI Express Base Specification 7.5-7.9.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import {
  type AcsCapability,
  type BridgeBuses,
  CAPABILITY,
  type ConfigFacts,
  EXTENDED_CAPABILITY,
  type PcieCapability,
  type SriovCapability,
  unreadConfig,
} from './config-facts.ts'

const HEADER_BYTES = 64
const STANDARD_BYTES = 256
const EXTENDED_BYTES = 4096
/** 48 dword-aligned places between 0x40 and 0x100: a longer standard list has a loop. */
const STANDARD_MAX = 48
/** (4096 - 256) / 4 dword-aligned places. */
const EXTENDED_MAX = 960

interface Entry {
  readonly id: number
  readonly offset: number
}

interface CapabilityList {
  readonly entries: readonly Entry[]
  /** Why the list stops before its end; null when it is whole. */
  readonly cut: string | null
}

/**
 * Decodes as many bytes as there are; anything beyond them is unknown.
 *
 * @param whole the bytes are all that the kernel itself can reach (a privileged read from sysfs): then
 *   256 bytes mean that there is no extended space, where for a dump they mean "not dumped"
 */
export function decodeConfig(bytes: Uint8Array, whole: boolean): ConfigFacts {
  if (bytes.length < HEADER_BYTES) {
    return unreadConfig(`config space: only ${String(bytes.length)} bytes readable`)
  }
  if (u16(bytes, 0x00) === 0xffff && bytes.subarray(0, HEADER_BYTES).every((b) => b === 0xff)) {
    return { ...unreadConfig('config space reads all ones: the device does not answer'), size: 0 }
  }
  const damage: string[] = []
  const header = u8(bytes, 0x0e)
  const headerType = header & 0x7f
  const standard = standardList(bytes, headerType, damage)
  const pcieAt = find(standard, CAPABILITY.pciExpress, 'PCI Express capability')
  const pcie = pcieCapability(bytes, pcieAt)
  const extended = extendedList(bytes, pcie, whole, damage)
  const acsAt = find(extended, EXTENDED_CAPABILITY.acs, 'ACS capability')
  const sriovAt = find(extended, EXTENDED_CAPABILITY.sriov, 'SR-IOV capability')
  return {
    size: bytes.length,
    headerType: known(headerType),
    multifunction: known((header & 0x80) !== 0),
    buses: known(bridgeBuses(bytes, headerType)),
    pcie,
    acs: at(acsAt, (offset) => acsCapability(bytes, offset)),
    sriov: at(sriovAt, (offset) => sriovCapability(bytes, offset)),
    functionLevelReset: functionLevelReset(bytes, standard, pcieAt),
    capabilities: ids(standard),
    extendedCapabilities: ids(extended),
    damage,
  }
}

/** Offset of the first entry of an extended capability; null when it is absent or unreadable. */
export function extendedCapabilityOffset(bytes: Uint8Array, id: number): number | null {
  if (bytes.length <= STANDARD_BYTES) return null
  return walkExtended(bytes, []).entries.find((entry) => entry.id === id)?.offset ?? null
}

function u8(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0xff
}

function u16(bytes: Uint8Array, offset: number): number {
  return u8(bytes, offset) | (u8(bytes, offset + 1) << 8)
}

function u32(bytes: Uint8Array, offset: number): number {
  return (u16(bytes, offset) | (u16(bytes, offset + 2) << 16)) >>> 0
}

function bridgeBuses(bytes: Uint8Array, headerType: number): BridgeBuses | null {
  if (headerType !== 1 && headerType !== 2) return null
  return { primary: u8(bytes, 0x18), secondary: u8(bytes, 0x19), subordinate: u8(bytes, 0x1a) }
}

function standardList(bytes: Uint8Array, headerType: number, damage: string[]): CapabilityList {
  if ((u16(bytes, 0x06) & 0x10) === 0) return { entries: [], cut: null }
  // A CardBus bridge keeps its pointer at 0x14 (PCI to PCMCIA CardBus Bridge Register Description).
  let offset = u8(bytes, headerType === 2 ? 0x14 : 0x34) & 0xfc
  const entries: Entry[] = []
  while (offset !== 0) {
    if (offset < 0x40) {
      return cutList(entries, damage, `capability pointer ${show(offset)} points into the header`)
    }
    if (offset + 2 > bytes.length) {
      const why = `config space: only ${String(bytes.length)} bytes readable`
      return { entries, cut: why }
    }
    const id = u8(bytes, offset)
    if (id === 0xff) return cutList(entries, damage, `capability at ${show(offset)} reads ff`)
    if (entries.length >= STANDARD_MAX || entries.some((entry) => entry.offset === offset)) {
      return cutList(entries, damage, `capability list loops at ${show(offset)}`)
    }
    entries.push({ id, offset })
    offset = u8(bytes, offset + 1) & 0xfc
  }
  return { entries, cut: null }
}

function extendedList(
  bytes: Uint8Array,
  pcie: Fact<PcieCapability | null>,
  whole: boolean,
  damage: string[],
): CapabilityList {
  if (bytes.length >= STANDARD_BYTES + 4) return walkExtended(bytes, damage)
  // A conventional device has no extended space, so nothing is missing. The kernel also offers only
  // 256 bytes when the extended space of a PCIe function does not answer; then it has none either.
  if ((pcie.known && pcie.value === null) || (whole && bytes.length === STANDARD_BYTES)) {
    return { entries: [], cut: null }
  }
  return { entries: [], cut: `config space: only ${String(bytes.length)} bytes readable` }
}

function walkExtended(bytes: Uint8Array, damage: string[]): CapabilityList {
  const entries: Entry[] = []
  const seen = new Set<number>()
  let offset = STANDARD_BYTES
  while (offset !== 0) {
    if (offset < STANDARD_BYTES) {
      return cutList(entries, damage, `extended capability pointer ${show(offset)} is below 100`)
    }
    if (offset + 4 > Math.min(bytes.length, EXTENDED_BYTES)) {
      const why = `config space ends at ${show(bytes.length)}, inside the extended list`
      return bytes.length < EXTENDED_BYTES ? { entries, cut: why } : cutList(entries, damage, why)
    }
    const head = u32(bytes, offset)
    // All zeros or all ones at 0x100 means that there are no extended capabilities at all.
    if (head === 0 || head === 0xffffffff) break
    if (seen.has(offset) || entries.length >= EXTENDED_MAX) {
      return cutList(entries, damage, `extended capability list loops at ${show(offset)}`)
    }
    seen.add(offset)
    entries.push({ id: head & 0xffff, offset })
    offset = (head >>> 20) & 0xffc
  }
  return { entries, cut: null }
}

function cutList(entries: readonly Entry[], damage: string[], why: string): CapabilityList {
  damage.push(why)
  return { entries, cut: why }
}

function show(offset: number): string {
  return `0x${offset.toString(16)}`
}

/** Where a capability is: known offset, known absent (null), or unknown since the list was cut. */
function find(list: CapabilityList, id: number, what: string): Fact<number | null> {
  const entry = list.entries.find((candidate) => candidate.id === id)
  if (entry !== undefined) return known(entry.offset)
  return list.cut === null ? known(null) : unknown(`${what}: ${list.cut}`)
}

function at<T>(where: Fact<number | null>, decode: (offset: number) => Fact<T>): Fact<T | null> {
  if (!where.known) return where
  return where.value === null ? known(null) : decode(where.value)
}

function ids(list: CapabilityList): Fact<readonly number[]> {
  return list.cut === null ? known(list.entries.map((entry) => entry.id)) : unknown(list.cut)
}

function pcieCapability(
  bytes: Uint8Array,
  where: Fact<number | null>,
): Fact<PcieCapability | null> {
  return at<PcieCapability>(where, (offset) => {
    if (offset + 4 > bytes.length) return unknown('PCI Express capability is cut off')
    return known({ type: (u16(bytes, offset + 2) >> 4) & 0xf })
  })
}

function acsCapability(bytes: Uint8Array, offset: number): Fact<AcsCapability> {
  const bits =
    offset + 8 <= bytes.length
      ? known({ capability: u16(bytes, offset + 4), control: u16(bytes, offset + 6) })
      : unknown('ACS capability is cut off')
  const wideBits =
    offset + 12 <= bytes.length
      ? known({ capability: u32(bytes, offset + 4), control: u32(bytes, offset + 8) })
      : unknown('ACS capability is cut off')
  return known({ bits, wideBits })
}

function sriovCapability(bytes: Uint8Array, offset: number): Fact<SriovCapability> {
  if (offset + 0x1c > bytes.length) return unknown('SR-IOV capability is cut off')
  const enabled = (u16(bytes, offset + 0x08) & 1) !== 0
  return known({
    totalVfs: u16(bytes, offset + 0x0e),
    numVfs: enabled ? u16(bytes, offset + 0x10) : 0,
    offset: u16(bytes, offset + 0x14),
    stride: u16(bytes, offset + 0x16),
    vfDevice: u16(bytes, offset + 0x1a),
  })
}

/** PCIe Device Capabilities bit 28, or Advanced Features capability +3 bit 1 with transactions pending bit 0. */
function functionLevelReset(
  bytes: Uint8Array,
  list: CapabilityList,
  pcieAt: Fact<number | null>,
): Fact<boolean> {
  if (pcieAt.known && pcieAt.value !== null && pcieAt.value + 8 <= bytes.length) {
    if ((u32(bytes, pcieAt.value + 4) & (1 << 28)) !== 0) return known(true)
  }
  const af = find(list, CAPABILITY.advancedFeatures, 'Advanced Features capability')
  if (!af.known) return af
  if (af.value === null) return pcieAt.known ? known(false) : pcieAt
  if (af.value + 4 > bytes.length) return unknown('Advanced Features capability is cut off')
  return known((u8(bytes, af.value + 3) & 0x03) === 0x03)
}
