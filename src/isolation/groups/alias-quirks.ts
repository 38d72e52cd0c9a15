/**
 * Devices that use requester ids other than their own: the header and final fixups of
 * drivers/pci/quirks.c that call pci_add_dma_alias or set a DMA-alias flag (identical in 6.1.192 and
 * 6.12.117), and the walk that follows them (pci_for_each_dma_alias, drivers/pci/search.c).
 *
 * Switchtec and Efar bridges keep their alias table in device memory, which config space does not
 * show: they are named as a warning instead (aliasesInMemory).
 */
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Node } from '../topology/topology.ts'
import { portType } from './port-type.ts'

const RICOH = 0x1180
const MARVELL = 0x1b4b

/** Uses function 0's requester id. */
const FUNCTION_0: readonly (readonly [number, number])[] = [
  [RICOH, 0xe832],
  [RICOH, 0xe476],
  [0x6766, 0x3d40],
  [0x6766, 0x3d41],
]

/** Uses function 1's requester id; function 1 may not even exist ("ghost requester"). */
const FUNCTION_1: readonly (readonly [number, number])[] = [
  ...[
    0x9120, 0x9123, 0x9125, 0x9128, 0x9130, 0x9170, 0x9172, 0x917a, 0x9182, 0x9183, 0x91a0, 0x9215,
    0x9220, 0x9230, 0x9235,
  ].map((id) => [MARVELL, id] as const),
  [0x1103, 0x0642],
  [0x1103, 0x0645],
  [0x197b, 0x2392],
  [0x1c28, 0x0122],
]

const ADAPTEC_SUBSYSTEMS = [0x02bb, 0x02bc]
const KNIGHTS_LANDING = [0x2260, 0x2264]
const VCA = [0x2954, 0x2955, 0x2956, 0x2958, 0x2959, 0x295a]
const PLX_ALL = [0x87b0, 0x87b1]

const HIDDEN_PCIE_BRIDGES: readonly (readonly [number, number])[] = [
  [0x1b21, 0x1080],
  [0x10e3, 0x8113],
  [0x1283, 0x8892],
  [0x1283, 0x8893],
  [0x8086, 0x244e],
]

/** Bridges behind which the requester id is not rewritten towards the root (14e4:9000, 14e4:9084). */
const TRANSLATION_ROOTS: readonly (readonly [number, number])[] = [
  [0x14e4, 0x9000],
  [0x14e4, 0x9084],
]

function isOneOf(node: Node, ids: readonly (readonly [number, number])[]): boolean {
  const { vendor, device } = node.fn
  if (!vendor.known || !device.known) return false
  return ids.some(([v, d]) => v === vendor.value && d === device.value)
}

function devfn(slot: number, fn: number): number {
  return (slot << 3) | fn
}

/**
 * Devfns on the function's own bus whose requester id it may use, beside its own; null = all 256.
 * Empty for nearly every device.
 */
export function aliasMask(node: Node): readonly number[] | null {
  const { vendor, device, subsystem } = node.fn
  if (!vendor.known || !device.known) return []
  const { device: slot } = node.at
  if (isOneOf(node, FUNCTION_0)) return [devfn(slot, 0)]
  // Its own id among the aliases changes nothing, so the function itself needs no exception.
  if (isOneOf(node, FUNCTION_1)) return [devfn(slot, 1)]
  if (vendor.value === 0x9005 && device.value === 0x0285) {
    const sub = subsystem.known ? subsystem.value : null
    const named = sub?.vendor === 0x9005 && ADAPTEC_SUBSYSTEMS.includes(sub.device)
    return named ? [devfn(1, 0)] : []
  }
  if (vendor.value === 0x8086 && KNIGHTS_LANDING.includes(device.value)) {
    return [devfn(0x10, 0), devfn(0x11, 0), devfn(0x12, 3)]
  }
  if (vendor.value === 0x8086 && VCA.includes(device.value)) {
    return Array.from({ length: 32 * 5 }, (_, i) => devfn(Math.floor(i / 5), i % 5))
  }
  if (vendor.value === 0x10b5 && PLX_ALL.includes(device.value)) return null
  return []
}

/** Whether the walk towards the root ends at this bridge. */
export function isTranslationRoot(bridge: Node): boolean {
  return isOneOf(bridge, TRANSLATION_ROOTS)
}

/** quirk_use_pcie_bridge_dma_alias: a PCIe-to-PCI bridge that does not show its PCIe capability. */
export function hidesPcieCapability(bridge: Node): boolean {
  if (bridge.parent === null || !isOneOf(bridge, HIDDEN_PCIE_BRIDGES)) return false
  const above = portType(bridge.parent)
  return above.known && above.value !== null && above.value !== PCIE_TYPE.pcieToPciBridge
}

/** Bridges whose alias table lies in device memory: class 0680 of Switchtec and Efar switches. */
export function aliasesInMemory(node: Node): boolean {
  const { vendor, device, classCode } = node.fn
  if (!vendor.known || !device.known || !classCode.known) return false
  if (classCode.value >> 8 !== 0x0680) return false
  if (vendor.value === 0x11f8) return isSwitchtec(device.value)
  const efar = (device.value >= 0x1001 && device.value <= 0x1006) || device.value === 0x1008
  return vendor.value === 0x1055 && efar
}

/** Ids of Switchtec generations 3, 4, 4 automotive and 5, as quirk_switchtec_ntb_dma_alias lists them. */
function isSwitchtec(device: number): boolean {
  const high = device >> 8
  const low = device & 0xff
  if (high === 0x85) return low >= 0x31 && low <= 0x76 && (low & 0x0f) >= 1 && (low & 0x0f) <= 6
  if (high >= 0x43 && high <= 0x45) return [0x52, 0x36, 0x28].includes(low)
  const wide = (high >= 0x40 && high <= 0x42) || (high >= 0x50 && high <= 0x55)
  return wide && [0x00, 0x84, 0x68, 0x52, 0x36, 0x28].includes(low)
}
