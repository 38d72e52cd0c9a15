/**
 * What an AMD IOMMU can do: the extended feature register (AMD I/O Virtualization Technology
 * specification 3.4.9, "EFR"), as /sys/class/iommu/ivhdN/amd-iommu/features shows it.
 */
import { atLeast, type KernelVersion } from '../../../base/kernel-version.ts'
import { bits, registerValue } from '../tables/register-value.ts'

export interface AmdFeatures {
  readonly pageRequests: boolean
  /** Guest translation, which devices with PASIDs use. */
  readonly guestTranslation: boolean
  /** Interrupt table entries of 16 bytes instead of 4. */
  readonly guestApic: boolean
  /** Levels of the largest host page tables: 4 to 6. */
  readonly levels: number
}

/** A Zen processor's: what an absent attribute stands for. */
const USUAL = '58f77ef22294ade'

export function amdFeatures(
  attributes: Readonly<Record<string, string>>,
  version: KernelVersion,
): AmdFeatures {
  const features = registerValue(extendedFeatures(attributes['features'] ?? USUAL, version))
  const has = (bit: number): boolean => bits(features, bit, 1) === 1
  return {
    pageRequests: has(1),
    guestTranslation: has(4),
    guestApic: has(7),
    levels: Math.min(4 + bits(features, 10, 2), 6),
  }
}

/** The file has two registers, "EFR2:EFR" up to 6.6 and "EFR:EFR2" later; EFR is never 0. */
function extendedFeatures(text: string, version: KernelVersion): string {
  const [first = '', second] = text.trim().split(':')
  if (second === undefined || /^0*$/.test(second)) return first
  if (/^0*$/.test(first)) return second
  return atLeast(version, 6, 7) ? first : second
}
