/**
 * What a function's configuration space says, decoded: the common form of everything that
 * grouping and assessment need, whether it came from config bytes or from lspci's text.
 *
 * Each member is a Fact, since an ordinary user reads only 64 bytes and a text may be cut.
 */
import type { Fact } from '../base/fact.ts'
import { unknown } from '../base/fact.ts'

export interface ConfigFacts {
  /** Bytes of config space that could be read: 0, 64, 128, 256 or 4096 on healthy hosts. */
  readonly size: number
  /** Offset 0x0E bits 6:0: 0 endpoint, 1 PCI-to-PCI bridge, 2 CardBus bridge. */
  readonly headerType: Fact<number>
  /** Offset 0x0E bit 7: the function's own multifunction bit (the kernel's flag may differ). */
  readonly multifunction: Fact<boolean>
  /** Bus numbers of a bridge (0x18-0x1A); null for anything that is no bridge. */
  readonly buses: Fact<BridgeBuses | null>
  /** PCI Express capability (id 0x10); null for a conventional device. */
  readonly pcie: Fact<PcieCapability | null>
  /** Access Control Services (extended capability 0x000D); null when it has none. */
  readonly acs: Fact<AcsCapability | null>
  /** SR-IOV (extended capability 0x0010); null when it has none. */
  readonly sriov: Fact<SriovCapability | null>
  /** Whether the function can reset itself alone: PCIe FLR or AF FLR. */
  readonly functionLevelReset: Fact<boolean>
  /** Standard capability ids, in list order. */
  readonly capabilities: Fact<readonly number[]>
  /** Extended capability ids, in list order. */
  readonly extendedCapabilities: Fact<readonly number[]>
  /** What is wrong with the bytes: looped or truncated lists, impossible values. */
  readonly damage: readonly string[]
}

export interface BridgeBuses {
  readonly primary: number
  readonly secondary: number
  readonly subordinate: number
}

export interface PcieCapability {
  /** Device/port type, capability +2 bits 7:4; see PCIE_TYPE. */
  readonly type: number
}

/** PCI Express Base Specification, PCI Express Capabilities Register, Device/Port Type. */
export const PCIE_TYPE = {
  endpoint: 0,
  legacyEndpoint: 1,
  rootPort: 4,
  upstreamPort: 5,
  downstreamPort: 6,
  pcieToPciBridge: 7,
  pciToPcieBridge: 8,
  integratedEndpoint: 9,
  eventCollector: 10,
} as const

export interface AcsCapability {
  /** Words at +4 and +6; unknown when a text names the capability without its bits. */
  readonly bits: Fact<AcsBits>
  /** The same registers read as Intel Sunrise Point lays them out: dwords at +4 and +8. */
  readonly wideBits: Fact<AcsBits>
}

export interface AcsBits {
  readonly capability: number
  readonly control: number
}

/** ACS capability and control bits (PCI Express Base Specification, ACS Extended Capability). */
export const ACS = {
  sourceValidation: 0x01,
  translationBlocking: 0x02,
  requestRedirect: 0x04,
  completionRedirect: 0x08,
  upstreamForwarding: 0x10,
  egressControl: 0x20,
  directTranslated: 0x40,
} as const

/** SV|RR|CR|UF: what the kernel wants of every element on the path (drivers/iommu/iommu.c REQ_ACS_FLAGS). */
export const ACS_REQUIRED = 0x1d

export interface SriovCapability {
  readonly totalVfs: number
  /** Virtual functions enabled now. */
  readonly numVfs: number
  readonly offset: number
  readonly stride: number
  readonly vfDevice: number
}

/** Capability ids used by name. */
export const CAPABILITY = {
  powerManagement: 0x01,
  pciExpress: 0x10,
  advancedFeatures: 0x13,
} as const
export const EXTENDED_CAPABILITY = { acs: 0x0d, serialNumber: 0x03, sriov: 0x10 } as const

/** Facts of a function whose config space could not be read at all. */
export function unreadConfig(why: string): ConfigFacts {
  const no = unknown(why)
  return {
    size: 0,
    headerType: no,
    multifunction: no,
    buses: no,
    pcie: no,
    acs: no,
    sriov: no,
    functionLevelReset: no,
    capabilities: no,
    extendedCapabilities: no,
    damage: [],
  }
}
