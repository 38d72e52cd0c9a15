/**
 * Two facts the kernel corrects before it uses them: the PCI Express port type
 * (set_pcie_port_type, drivers/pci/probe.c) and the multifunction flag (pci_scan_slot).
 */
import { type Fact, known } from '../../base/fact.ts'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Node } from '../topology/topology.ts'

/** Nodes never change, so neither do their types; long chains of bridges would be walked again and again. */
const TYPES = new WeakMap<Node, Fact<number | null>>()

/** The type after correction; null for a conventional device. */
export function portType(node: Node): Fact<number | null> {
  let type = TYPES.get(node)
  if (type === undefined) {
    type = correctedType(node)
    TYPES.set(node, type)
  }
  return type
}

/**
 * An impossible stack of switch ports makes the kernel correct the lower one: a downstream port below a
 * port that faces down, an upstream port below an upstream port. It clears the type bits and then ORs
 * the new type in without shifting it, so a corrected port ends up as type 0, an endpoint: seen in the
 * lab on 6.1.192 and 6.12.117, where both kinds are judged as endpoints.
 */
function correctedType(node: Node): Fact<number | null> {
  const own = rawType(node)
  if (!own.known || own.value === null || node.parent === null) return own
  const { downstreamPort, upstreamPort, endpoint } = PCIE_TYPE
  if (own.value !== downstreamPort && own.value !== upstreamPort) return own
  const above = portType(node.parent)
  if (!above.known || above.value === null) return own
  const impossible =
    own.value === downstreamPort ? facesDown(above.value) : above.value === upstreamPort
  return impossible ? known(endpoint) : own
}

/** A virtual function is an endpoint by definition (SR-IOV specification 3.5.2). */
function rawType(node: Node): Fact<number | null> {
  if (node.isVirtual) return known(PCIE_TYPE.endpoint)
  const pcie = node.fn.config.pcie
  if (!pcie.known) return pcie
  return known(pcie.value === null ? null : pcie.value.type)
}

function facesDown(type: number): boolean {
  return (
    type === PCIE_TYPE.rootPort ||
    type === PCIE_TYPE.downstreamPort ||
    type === PCIE_TYPE.pciToPcieBridge
  )
}

export interface MultifunctionFlag {
  /** The kernel's flag after a boot-time scan. */
  readonly value: boolean
  /** Set only because the function number is above 0: a hot-added function would not have it. */
  readonly byNumberOnly: boolean
}

/**
 * The kernel's multifunction flag: the header bit, or at boot any function number above 0; never for
 * virtual functions. When the header could not be read, a slot with several functions must be
 * multifunction, and a lone function is taken as single: then nothing but the flag itself differs.
 */
export function isMultifunction(node: Node): MultifunctionFlag {
  if (node.isVirtual) return { value: false, byNumberOnly: false }
  const bit = node.fn.config.multifunction
  if (bit.known && bit.value) return { value: true, byNumberOnly: false }
  if (node.at.function > 0) return { value: true, byNumberOnly: bit.known }
  if (bit.known) return { value: false, byNumberOnly: false }
  return { value: slotMates(node).length > 1, byNumberOnly: false }
}

/** Functions of the same slot, the function itself included, virtual functions left out. */
export function slotMates(node: Node): readonly Node[] {
  return node.bus.slots.get(node.at.device) ?? []
}
