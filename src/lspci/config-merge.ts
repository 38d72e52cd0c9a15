/**
 * Puts facts about one function together that come from several places: the hex dump and the text
 * of one block, and several blocks. The first known one wins, fact by fact.
 */
import type { Fact } from '../base/fact.ts'
import { known } from '../base/fact.ts'
import type { AcsCapability, ConfigFacts } from '../pci/config-facts.ts'

/** The better fact where it is known, else the other, else the better one's reason. */
export function firstKnown<T>(better: Fact<T>, other: Fact<T>): Fact<T> {
  return better.known || !other.known ? better : other
}

export function mergeConfig(better: ConfigFacts, other: ConfigFacts): ConfigFacts {
  return {
    size: Math.max(better.size, other.size),
    headerType: firstKnown(better.headerType, other.headerType),
    multifunction: firstKnown(better.multifunction, other.multifunction),
    buses: firstKnown(better.buses, other.buses),
    pcie: firstKnown(better.pcie, other.pcie),
    acs: mergeAcs(better.acs, other.acs),
    sriov: firstKnown(better.sriov, other.sriov),
    functionLevelReset: firstKnown(better.functionLevelReset, other.functionLevelReset),
    capabilities: firstKnown(better.capabilities, other.capabilities),
    extendedCapabilities: firstKnown(better.extendedCapabilities, other.extendedCapabilities),
    damage: [...new Set([...better.damage, ...other.damage])],
  }
}

/** One place may know that there is an ACS capability, the other its bits. */
function mergeAcs(
  better: Fact<AcsCapability | null>,
  other: Fact<AcsCapability | null>,
): Fact<AcsCapability | null> {
  if (!better.known || !other.known) return firstKnown(better, other)
  if (better.value === null || other.value === null) return better
  return known({
    bits: firstKnown(better.value.bits, other.value.bits),
    wideBits: firstKnown(better.value.wideBits, other.value.wideBits),
  })
}
