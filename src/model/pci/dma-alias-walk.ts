/**
 * Under which requester ids the DMA of a function may arrive at an IOMMU: pci_for_each_dma_alias() of
 * drivers/pci/search.c.
 *
 * A function has its own id (bus << 8 | devfn). Conventional PCI carries none at all, so a bridge puts
 * its own on everything from below; and some functions use ids of others by mistake (their quirks fill
 * `dmaAliases`). The IOMMU cannot tell apart what arrives under one id: that is why grouping walks
 * these ids, and why an IOMMU driver writes an entry for each of them.
 */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { PciDevice } from './pci-device.ts'

/**
 * @param owner the function or bridge whose id it is
 * @returns true to stop the walk
 */
export type AliasVisitor = (owner: PciDevice, requesterId: number) => boolean | undefined

/**
 * Visits every requester id of a device: its own first, then its quirk aliases, then those of the
 * bridges above, from the nearest up.
 *
 * @returns whether a visitor stopped the walk
 */
export function forEachDmaAlias(device: PciDevice, visit: AliasVisitor): boolean {
  const real = device.realDmaDevice ?? device
  if (visit(real, requesterId(real)) === true) return true
  for (const devfn of [...real.dmaAliases].sort((a, b) => a - b)) {
    if (visit(real, (real.pciBus.number << 8) | devfn) === true) return true
  }
  for (let bus = real.pciBus; bus.parent !== null; bus = bus.parent) {
    const { bridge } = bus
    // The buses of virtual functions have no bridge of their own.
    if (bridge === null) continue
    if (isTranslationRoot(bridge)) return false
    const alias = aliasOfBridge(bridge, bus.number)
    if (alias !== null && visit(bridge, alias) === true) return true
  }
  return false
}

/** Every requester id of a device, once each, its own first. */
export function requesterIds(device: PciDevice): readonly number[] {
  const ids = new Set<number>()
  forEachDmaAlias(device, (_owner, id) => {
    ids.add(id)
    return false
  })
  return [...ids]
}

/** bus << 8 | devfn (pci_dev_id). */
function requesterId(device: PciDevice): number {
  return (device.pciBus.number << 8) | device.devfn
}

/** The id that a bridge puts on requests from below; null when it lets theirs through. */
function aliasOfBridge(bridge: PciDevice, secondary: number): number | null {
  switch (bridge.pcieType) {
    case PCIE_TYPE.rootPort:
    case PCIE_TYPE.upstreamPort:
    case PCIE_TYPE.downstreamPort:
      return null
    case PCIE_TYPE.pcieToPciBridge:
      return secondary << 8
    case PCIE_TYPE.pciToPcieBridge:
      return requesterId(bridge)
    case null:
      return hidesPcieCapability(bridge) ? secondary << 8 : requesterId(bridge)
    default:
      return null
  }
}

/** Bridges with an IOMMU of their own behind them (PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT): Broadcom Vulcan. */
function isTranslationRoot(bridge: PciDevice): boolean {
  return bridge.vendor === 0x14e4 && (bridge.device === 0x9000 || bridge.device === 0x9084)
}

/** "vendor:device" of PCIe-to-PCI bridges without a PCI Express capability (drivers/pci/quirks.c). */
const HIDDEN_PCIE_BRIDGES: ReadonlySet<number> = new Set([
  0x1b21_1080, 0x10e3_8113, 0x1283_8892, 0x1283_8893, 0x8086_244e,
])

/** quirk_use_pcie_bridge_dma_alias(): a conventional bridge right below PCI Express must be one. */
function hidesPcieCapability(bridge: PciDevice): boolean {
  const above = bridge.pciBus.bridge
  return (
    HIDDEN_PCIE_BRIDGES.has(bridge.vendor * 0x1_0000 + bridge.device) &&
    bridge.headerType === 1 &&
    above !== null &&
    above.pcieType !== null &&
    above.pcieType !== PCIE_TYPE.pcieToPciBridge
  )
}
