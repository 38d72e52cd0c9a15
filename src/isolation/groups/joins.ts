/**
 * Every reason why a function must be in the same group as another, in the order in which the kernel
 * looks (pci_device_group, drivers/iommu/iommu.c):
 *
 *     DMA aliases upward -> bridges above without ACS -> alias siblings on the bus -> slot mates
 *
 * The kernel stops at the first one, since bridges are grouped before what is below them. Here the
 * whole set is produced at once; the partition is its connected components.
 */
import { hex } from '../../pci/address.ts'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Bus, Node, Topology } from '../topology/topology.ts'
import { type AcsTable, type AcsVerdict, typeName } from './acs.ts'
import { aliasMask, hidesPcieCapability, isTranslationRoot } from './alias-quirks.ts'
import { isMultifunction, portType } from './port-type.ts'
import type { Join } from './prediction.ts'

/** A join with what is missing where it is only possible. */
export interface ReasonedJoin extends Join {
  readonly missing: { readonly device: string; readonly fact: string; readonly why: string } | null
}

/** All joins of a topology: certain ones and those that rest on an unknown fact. */
export function findJoins(topology: Topology, acs: AcsTable): readonly ReasonedJoin[] {
  const joins: ReasonedJoin[] = []
  for (const bus of topology.buses.values()) {
    for (const node of bus.nodes) joins.push(...upwardJoins(node, acs))
    joins.push(...aliasSiblings(bus))
    joins.push(...slotJoins(bus, acs))
  }
  return joins
}

function upwardJoins(node: Node, acs: AcsTable): ReasonedJoin[] {
  const host = rootHost(node)
  if (host !== null) return [hostJoin(node, host)]
  const alias = aliasBridge(node)
  if (alias?.certainty === 'certain') return [alias]
  const upward = acsJoin(node, acs)
  if (alias === null) return upward === null ? [] : [upward]
  return upward === null ? [alias] : [upward, alias]
}

/** pci_real_dma_dev: Intel VMD issues the DMA of everything in its child domain. */
function rootHost(node: Node): Node | null {
  let top = node
  while (top.parent !== null) top = top.parent
  return top.bus.host
}

function hostJoin(node: Node, host: Node): ReasonedJoin {
  return {
    code: 'dma-host',
    device: node.address,
    joins: host.address,
    decider: host.address,
    reason: `${host.address} issues the DMA of everything behind it, so the IOMMU sees only it`,
    evidence: [`bus ${node.bus.name} belongs to a domain hosted by ${host.address}`],
    certainty: 'certain',
    missing: null,
  }
}

/** The first bridge above whose requester id stands for the device's own; it is grouped already. */
function aliasBridge(node: Node): ReasonedJoin | null {
  for (let bridge = node.parent; bridge !== null; bridge = bridge.parent) {
    if (isTranslationRoot(bridge)) return null
    const type = portType(bridge)
    if (!type.known) {
      const missing = { device: bridge.address, fact: 'PCI Express capability', why: type.why }
      return bridgeAlias(node, bridge, 'may be a conventional PCI bridge', missing.why, missing)
    }
    if (type.value === PCIE_TYPE.pcieToPciBridge || type.value === PCIE_TYPE.pciToPcieBridge) {
      return bridgeAlias(
        node,
        bridge,
        `is a ${typeName(type.value)}`,
        typeEvidence(type.value),
        null,
      )
    }
    if (type.value === null) {
      const how = hidesPcieCapability(bridge)
        ? 'is a PCIe-to-PCI bridge that hides its PCI Express capability'
        : 'is a conventional PCI bridge'
      return bridgeAlias(node, bridge, how, 'no PCI Express capability', null)
    }
  }
  return null
}

function typeEvidence(type: number): string {
  return `PCI Express type ${String(type)} (${typeName(type)})`
}

function bridgeAlias(
  node: Node,
  bridge: Node,
  how: string,
  evidence: string,
  missing: ReasonedJoin['missing'],
): ReasonedJoin {
  return {
    code: 'bridge-alias',
    device: node.address,
    joins: bridge.address,
    decider: bridge.address,
    reason: `${bridge.address} ${how}: requests from behind it carry the bridge's requester id`,
    evidence: [`${bridge.address}: ${evidence}`],
    certainty: missing === null ? 'certain' : 'possible',
    missing,
  }
}

function acsJoin(node: Node, acs: AcsTable): ReasonedJoin | null {
  if (node.parent === null) return null
  const failing = acs.failing(node.parent)
  if (failing === null) return null
  const { node: decider, verdict } = failing
  return {
    code: 'no-acs-above',
    device: node.address,
    joins: node.parent.address,
    decider: decider.address,
    reason: `${decider.address} above it ${verdict.reason}: requests could be turned around there before the IOMMU sees them`,
    evidence: verdict.evidence.map((line) => `${decider.address}: ${line}`),
    certainty: verdict.verdict === 'no' ? 'certain' : 'possible',
    missing: verdict.missing === null ? null : { device: decider.address, ...verdict.missing },
  }
}

/** get_pci_alias_group: a function whose requester id another function of the bus may use. */
function aliasSiblings(bus: Bus): ReasonedJoin[] {
  const joins: ReasonedJoin[] = []
  for (const node of bus.nodes) {
    const mask = aliasMask(node)
    if (mask !== null && mask.length === 0) continue
    for (const mate of bus.nodes) {
      if (mate === node) continue
      const id = (mate.at.device << 3) | mate.at.function
      if (mask === null || mask.includes(id)) joins.push(quirkAlias(node, mate))
    }
  }
  return joins
}

function quirkAlias(node: Node, mate: Node): ReasonedJoin {
  const { vendor, device } = node.fn
  const ids = vendor.known && device.known ? `${hex(vendor.value, 4)}:${hex(device.value, 4)}` : ''
  return {
    code: 'quirk-alias',
    device: node.address,
    joins: mate.address,
    decider: node.address,
    reason: `${node.address} is known to use the requester id of ${mate.address}`,
    evidence: [`kernel DMA-alias table: [${ids}]`],
    certainty: 'certain',
    missing: null,
  }
}

/** get_pci_function_alias_group: functions of one slot of which neither isolates. */
function slotJoins(bus: Bus, acs: AcsTable): ReasonedJoin[] {
  const joins: ReasonedJoin[] = []
  for (const mates of bus.slots.values()) {
    if (mates.length > 1) joins.push(...mateJoins(mates, acs))
  }
  return joins
}

function mateJoins(mates: readonly Node[], acs: AcsTable): ReasonedJoin[] {
  const open = mates
    .map((node) => ({ node, verdict: acs.verdict(node) }))
    .filter(({ verdict }) => verdict.verdict !== 'yes')
    // Certain ones first, so that the spanning joins rest on what is known wherever they can.
    .sort(
      (a, b) => Number(a.verdict.verdict === 'unknown') - Number(b.verdict.verdict === 'unknown'),
    )
  const [hub, ...others] = open
  if (hub === undefined) return []
  if (!open.some(({ node }) => isMultifunction(node).value)) return []
  return others.map((mate) => mateJoin(mate, hub))
}

function mateJoin(
  mate: { node: Node; verdict: AcsVerdict },
  hub: { node: Node; verdict: AcsVerdict },
): ReasonedJoin {
  const pair = [hub, mate]
  const open = pair.find(({ verdict }) => verdict.missing !== null)
  const missing = open?.verdict.missing ?? null
  return {
    code: 'multifunction',
    device: mate.node.address,
    joins: hub.node.address,
    decider: mate.node.address,
    reason: `${mate.node.address} and ${hub.node.address} are functions of one slot and neither isolates: they could reach each other inside the chip`,
    evidence: pair.flatMap(({ node, verdict }) =>
      verdict.evidence.map((line) => `${node.address}: ${line}`),
    ),
    certainty: missing === null ? 'certain' : 'possible',
    missing:
      open === undefined || missing === null ? null : { device: open.node.address, ...missing },
  }
}
