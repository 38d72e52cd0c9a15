/**
 * Does a PCI function keep peer traffic apart? pci_acs_enabled() of drivers/pci/pci.c, asked for
 * SV|RR|CR|UF, and the quirk functions of drivers/pci/quirks.c (pci_dev_specific_acs_enabled).
 *
 *     quirk table (first entry with an opinion) -> conventional: no -> by port type -> flags in registers
 *
 * A function that "isolates" sends requests of its children, and of functions beside it, up to the IOMMU
 * instead of straight to a peer. Reads live registers: whoever clears a control bit changes the
 * groups of devices added later, as on Linux.
 */
import type { KernelVersion } from '../../base/kernel-version.ts'
import { type AcsGrant, acsQuirksOf, hasEntry, quirkNames } from '../../pci/acs-quirks.ts'
import { ACS, ACS_REQUIRED, EXTENDED_CAPABILITY, PCIE_TYPE } from '../../pci/config-facts.ts'
import type { PciDevice } from '../pci/pci-device.ts'

/** What the answer depends on beside the device. */
export interface AcsRules {
  readonly version: KernelVersion
  /** ACPI has an IVRS table: the AMD southbridge quirk asks. */
  readonly ivrs: boolean
}

/** pci_acs_enabled(device, SV|RR|CR|UF) */
export function acsEnabled(device: PciDevice, rules: AcsRules): boolean {
  const special = specificAcs(device, rules)
  if (special !== null) return special
  switch (device.pcieType) {
    // Conventional PCI never has ACS; the primary side of a PCI-to-PCIe bridge is conventional.
    case null:
    case PCIE_TYPE.pciToPcieBridge:
    // PCI Express Base Specification 3.0, 6.12.1 leaves these out.
    case PCIE_TYPE.pcieToPciBridge:
    case PCIE_TYPE.eventCollector:
      return false
    case PCIE_TYPE.rootPort:
    case PCIE_TYPE.downstreamPort:
      return flagsEnabled(device)
    case PCIE_TYPE.endpoint:
    case PCIE_TYPE.legacyEndpoint:
    case PCIE_TYPE.upstreamPort:
    case PCIE_TYPE.integratedEndpoint:
      // Alone in its slot it has no peer inside the device.
      return device.multifunction ? flagsEnabled(device) : true
    default:
      return true
  }
}

/** pci_acs_path_enabled(device, NULL, ...): the function and every bridge above it isolate. */
export function acsPathEnabled(device: PciDevice, rules: AcsRules): boolean {
  for (let at: PciDevice | null = device; at !== null; at = at.pciBus.bridge) {
    if (!acsEnabled(at, rules)) return false
  }
  return true
}

/** pci_acs_flags_enabled(): bits that are not implemented count as wired on; no capability as off. */
function flagsEnabled(device: PciDevice): boolean {
  const { config } = device.hardware
  const at = config.extendedCapability(EXTENDED_CAPABILITY.acs)
  if (at === 0) return false
  const need = ACS_REQUIRED & (config.read(at + 4, 2) | ACS.egressControl)
  return (config.read(at + 6, 2) & need) === need
}

/** Verdict of the quirk table; null when no entry has an opinion (-ENOTTY). */
function specificAcs(device: PciDevice, rules: AcsRules): boolean | null {
  for (const entry of acsQuirksOf(device.vendor)) {
    if (!hasEntry(entry, rules.version) || !quirkNames(entry, device.device)) continue
    if (entry.types !== null) {
      if (device.pcieType === null || !entry.types.includes(device.pcieType)) continue
    }
    const verdict = granted(device, entry.grant, rules)
    if (verdict !== null) return verdict
  }
  return null
}

function granted(device: PciDevice, grant: AcsGrant, rules: AcsRules): boolean | null {
  switch (grant) {
    case 'endpoint':
    case 'path':
    case 'integrated':
      return true
    case 'none':
      return false
    case 'intel-pch':
      return device.acsEnabledByQuirk
    case 'intel-spt':
      return sunrisePointFlags(device)
    case 'amd-southbridge':
      return device.multifunction && device.pciBus.parent === null && rules.ivrs ? true : null
  }
}

/** pci_quirk_intel_spt_pch_acs(): the registers are dwords, at +4 and +8. */
function sunrisePointFlags(device: PciDevice): boolean | null {
  const { config } = device.hardware
  const at = config.extendedCapability(EXTENDED_CAPABILITY.acs)
  if (at === 0) return null
  const need = ACS_REQUIRED & (config.read(at + 4, 4) | ACS.egressControl)
  return (config.read(at + 8, 4) & need) === need
}
