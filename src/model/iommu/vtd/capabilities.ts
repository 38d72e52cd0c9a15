/**
 * What a VT-d unit can do: the capability and extended capability registers (VT-d specification 11.4.2
 * and 11.4.3; cap_*() and ecap_*() of drivers/iommu/intel/iommu.h), as
 * /sys/class/iommu/dmarN/intel-iommu/{cap,ecap} show them.
 */
import { bits, registerValue } from '../tables/register-value.ts'

export interface VtdCapabilities {
  /** Domain ids: 16 to 65536. */
  readonly domains: number
  /** Bit n: page tables with n + 2 levels. */
  readonly addressWidths: number
  /** Widest address a device may use, in bits. */
  readonly guestBits: number
  /** Entries of level 2 (bit 0) and 3 (bit 1) may be pages, of 2 MiB and 1 GiB. */
  readonly superPages: number
  readonly faultRecords: number
  /** The unit reads its page tables through the caches. */
  readonly coherent: boolean
  readonly deviceTlb: boolean
  readonly interruptRemapping: boolean
  readonly x2apic: boolean
  readonly passThrough: boolean
  readonly snoopControl: boolean
}

/** A client processor's unit (6th generation and later): what absent attributes stand for. */
const USUAL = { cap: 'd2008c40660462', ecap: 'f050da' } as const

export function vtdCapabilities(attributes: Readonly<Record<string, string>>): VtdCapabilities {
  const cap = registerValue(attributes['cap'] ?? USUAL.cap)
  const ecap = registerValue(attributes['ecap'] ?? USUAL.ecap)
  const has = (bit: number): boolean => bits(ecap, bit, 1) === 1
  return {
    domains: 2 ** (4 + 2 * bits(cap, 0, 3)),
    addressWidths: bits(cap, 8, 5),
    guestBits: bits(cap, 16, 6) + 1,
    superPages: bits(cap, 34, 2),
    faultRecords: bits(cap, 40, 8) + 1,
    coherent: has(0),
    deviceTlb: has(2),
    interruptRemapping: has(3),
    x2apic: has(4),
    passThrough: has(6),
    snoopControl: has(7),
  }
}
