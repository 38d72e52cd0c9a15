/**
 * Does a function isolate peer traffic? The kernel's pci_acs_enabled(dev, SV|RR|CR|UF)
 * (drivers/pci/pci.c), with three answers instead of two: a fact that could not be read gives
 * "unknown", which every caller treats as "does not isolate" and shows as unknown.
 *
 *     quirk table -> not PCIe: no -> by port type -> flags of the ACS capability
 */
import type { Fact } from '../../base/fact.ts'
import { hex } from '../../pci/address.ts'
import { ACS, ACS_REQUIRED, type AcsBits, PCIE_TYPE } from '../../pci/config-facts.ts'
import type { Node } from '../topology/topology.ts'
import { applyAcsArguments } from './acs-arguments.ts'
import {
  type AcsQuirk,
  acsQuirksOf,
  couldBeNamed,
  hasEntry,
  quirkNames,
} from '../../pci/acs-quirks.ts'
import { isMultifunction, portType } from './port-type.ts'
import type { Rules } from './rules.ts'

/** What the verdict rests on; documented in docs/reference/reasons.md. */
export type AcsSource =
  | 'quirk'
  | 'not-pcie'
  | 'bridge-type'
  | 'single-function'
  | 'no-capability'
  | 'flags'
  | 'unread'

export interface AcsVerdict {
  readonly verdict: 'yes' | 'no' | 'unknown'
  readonly source: AcsSource
  /** Half a sentence after the device's address: "has no ACS capability". */
  readonly reason: string
  /** Register bits or table entries it rests on. */
  readonly evidence: readonly string[]
  /** The fact that is missing; null unless the verdict is unknown. */
  readonly missing: { readonly fact: string; readonly why: string } | null
}

/** Decides for one function; see AcsTable for a memoized view over a topology. */
export function acsIsolates(node: Node, rules: Rules): AcsVerdict {
  const type = portType(node)
  const byQuirk = quirkVerdict(node, type, rules)
  if (byQuirk !== null) return byQuirk
  const standard = standardVerdict(node, type, rules)
  // Without its id nobody can say that the function is not in the quirk table.
  const missing = standard.verdict === 'no' ? missingId(node, type, rules) : null
  if (missing !== null) return undecided(standard.reason, 'vendor and device id', missing)
  return standard
}

/** Why the id is unknown, where knowing it could matter; null where no entry could name the function. */
function missingId(node: Node, type: Fact<number | null>, rules: Rules): string | null {
  const { vendor, device, classCode } = node.fn
  if (!vendor.known) return vendor.why
  if (device.known) return null
  const named = acsQuirksOf(vendor.value).some(
    (entry) =>
      hasEntry(entry, rules.kernel) &&
      (!type.known || !classCode.known || couldBeNamed(entry, type.value, classCode.value)),
  )
  return named ? device.why : null
}

/** Memoized verdicts and paths over one topology; walks are linear in the number of bridges. */
export interface AcsTable {
  verdict(node: Node): AcsVerdict
  /** The element nearest to the root that fails, from `bridge` up to the root bus; null = all isolate. */
  failing(bridge: Node): { readonly node: Node; readonly verdict: AcsVerdict } | null
}

export function acsTable(rules: Rules): AcsTable {
  const verdicts = new Map<Node, AcsVerdict>()
  const paths = new Map<Node, { node: Node; verdict: AcsVerdict } | null>()
  function verdict(node: Node): AcsVerdict {
    let result = verdicts.get(node)
    if (result === undefined) {
      result = acsIsolates(node, rules)
      verdicts.set(node, result)
    }
    return result
  }
  function failing(bridge: Node): { node: Node; verdict: AcsVerdict } | null {
    const chain: Node[] = []
    let at: Node | null = bridge
    while (at !== null && !paths.has(at)) {
      chain.push(at)
      at = at.parent
    }
    let above = at === null ? null : (paths.get(at) ?? null)
    for (const node of chain.reverse()) {
      above = worse(above, node, verdict(node))
      paths.set(node, above)
    }
    return above
  }
  return { verdict, failing }
}

/** A certain failure outranks an unknown; among equals the one nearer to the device explains more. */
function worse(
  above: { node: Node; verdict: AcsVerdict } | null,
  node: Node,
  own: AcsVerdict,
): { node: Node; verdict: AcsVerdict } | null {
  if (own.verdict === 'yes') return above
  if (own.verdict === 'unknown' && above?.verdict.verdict === 'no') return above
  return { node, verdict: own }
}

function quirkVerdict(node: Node, type: Fact<number | null>, rules: Rules): AcsVerdict | null {
  const { vendor, device } = node.fn
  if (!vendor.known) return null
  for (const entry of acsQuirksOf(vendor.value)) {
    if (!hasEntry(entry, rules.kernel)) continue
    if (entry.devices !== null && !(device.known && quirkNames(entry, device.value))) continue
    if (entry.types !== null) {
      if (!type.known) continue
      if (type.value === null || !entry.types.includes(type.value)) continue
    }
    const verdict = applyQuirk(entry, node, rules)
    if (verdict !== null) return verdict
  }
  return null
}

function applyQuirk(entry: AcsQuirk, node: Node, rules: Rules): AcsVerdict | null {
  const evidence = [`kernel quirk table: ${entry.who} ${idsOf(node)}`]
  switch (entry.grant) {
    case 'endpoint':
      return yes(
        'quirk',
        'isolates: its vendor states that its functions do not talk to each other',
        evidence,
      )
    case 'path':
      return yes('quirk', 'isolates: it has no peer-to-peer path, says its vendor', evidence)
    case 'integrated':
      return yes('quirk', 'isolates: VT-d requires it of integrated endpoints', evidence)
    case 'intel-pch':
      return yes('quirk', 'isolates: the kernel switches peer decode off in the chipset', evidence)
    case 'none':
      return no('quirk', 'does not isolate, says the kernel about this model', evidence)
    case 'amd-southbridge':
      // pci_quirk_amd_sb_acs: multifunction, on the root bus; IVRS is there wherever AMD groups exist.
      if (node.parent !== null || !isMultifunction(node).value) return null
      return yes('quirk', 'isolates: the southbridge sends everything upstream', evidence)
    case 'intel-spt': {
      const acs = node.fn.config.acs
      if (!acs.known || acs.value === null) return null
      const bits = acs.value.wideBits
      if (!bits.known)
        return yes('quirk', 'isolates: ACS in Intel layout, enabled by the kernel', evidence)
      return flagsVerdict(node, bits.value, rules, ' (Intel layout)')
    }
  }
}

function standardVerdict(node: Node, type: Fact<number | null>, rules: Rules): AcsVerdict {
  if (!type.known) {
    return undecided('may not isolate', 'PCI Express capability', type.why)
  }
  if (type.value === null) {
    return no('not-pcie', 'is a conventional PCI device, which cannot isolate', [
      'no PCI Express capability',
    ])
  }
  const evidence = [typeText(type.value)]
  switch (type.value) {
    case PCIE_TYPE.pcieToPciBridge:
    case PCIE_TYPE.pciToPcieBridge:
    case PCIE_TYPE.eventCollector:
      return no('bridge-type', `is a ${typeName(type.value)}, which never isolates`, evidence)
    case PCIE_TYPE.rootPort:
    case PCIE_TYPE.downstreamPort:
      return capabilityVerdict(node, rules, evidence)
    case PCIE_TYPE.endpoint:
    case PCIE_TYPE.legacyEndpoint:
    case PCIE_TYPE.upstreamPort:
    case PCIE_TYPE.integratedEndpoint:
      if (!isMultifunction(node).value) return singleFunction(type.value)
      return capabilityVerdict(node, rules, [...evidence, 'multifunction'])
    default:
      return yes('single-function', 'is of a type the kernel trusts', evidence)
  }
}

/** The same for thousands of virtual functions. */
const SINGLE_FUNCTIONS = new Map<number, AcsVerdict>()

function singleFunction(type: number): AcsVerdict {
  let verdict = SINGLE_FUNCTIONS.get(type)
  if (verdict === undefined) {
    verdict = yes('single-function', 'has one function only', [typeText(type), 'not multifunction'])
    SINGLE_FUNCTIONS.set(type, verdict)
  }
  return verdict
}

function capabilityVerdict(node: Node, rules: Rules, evidence: readonly string[]): AcsVerdict {
  const acs = node.fn.config.acs
  if (!acs.known) return undecided('may not isolate', 'ACS capability', acs.why)
  if (acs.value === null) {
    return no('no-capability', 'has no ACS capability', [...evidence, 'no ACS capability'])
  }
  const bits = acs.value.bits
  if (!bits.known) {
    // The kernel turns on what is implemented, and what is not implemented counts as on.
    return yes('flags', 'isolates with ACS', [
      ...evidence,
      'ACS capability present, enabled by the kernel',
    ])
  }
  return flagsVerdict(node, bits.value, rules, '', evidence)
}

/** pci_acs_flags_enabled: a bit that is not implemented counts as hard-wired on. */
function flagsVerdict(
  node: Node,
  bits: AcsBits,
  rules: Rules,
  layout: string,
  evidence: readonly string[] = [],
): AcsVerdict {
  const control = effectiveControl(node, bits, rules)
  const need = ACS_REQUIRED & (bits.capability | ACS.egressControl)
  const missing = need & ~control
  const shown = [
    ...evidence,
    `ACS capability ${hex(bits.capability & 0xffff, 4)} control ${hex(control & 0xffff, 4)}${layout}`,
  ]
  if (missing === 0) return yes('flags', 'isolates with ACS', shown)
  return no('flags', `has ACS, but ${bitNames(missing)} off`, shown)
}

function effectiveControl(node: Node, bits: AcsBits, rules: Rules): number {
  if (rules.acsControl === 'as-read') return bits.control
  const { vendor, device } = node.fn
  const target = {
    address: node.address,
    vendor: vendor.known ? vendor.value : null,
    device: device.known ? device.value : null,
  }
  const enabled = bits.control | (bits.capability & ACS_REQUIRED)
  return applyAcsArguments(enabled, target, rules.acsArguments, rules.kernel)
}

const BIT_NAMES: readonly (readonly [number, string])[] = [
  [ACS.sourceValidation, 'source validation'],
  [ACS.requestRedirect, 'request redirect'],
  [ACS.completionRedirect, 'completion redirect'],
  [ACS.upstreamForwarding, 'upstream forwarding'],
]

function bitNames(bits: number): string {
  const names = BIT_NAMES.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name)
  return `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'}`
}

function typeText(type: number): string {
  return `PCI Express type ${String(type)} (${typeName(type)})`
}

const TYPE_NAMES: Readonly<Record<number, string>> = {
  [PCIE_TYPE.endpoint]: 'endpoint',
  [PCIE_TYPE.legacyEndpoint]: 'legacy endpoint',
  [PCIE_TYPE.rootPort]: 'root port',
  [PCIE_TYPE.upstreamPort]: 'switch upstream port',
  [PCIE_TYPE.downstreamPort]: 'switch downstream port',
  [PCIE_TYPE.pcieToPciBridge]: 'PCIe-to-PCI bridge',
  [PCIE_TYPE.pciToPcieBridge]: 'PCI-to-PCIe bridge',
  [PCIE_TYPE.integratedEndpoint]: 'integrated endpoint',
  [PCIE_TYPE.eventCollector]: 'event collector',
}

/** "root port", "switch downstream port", ... */
export function typeName(type: number): string {
  return TYPE_NAMES[type] ?? 'reserved type'
}

function idsOf(node: Node): string {
  const { vendor, device } = node.fn
  const show = (id: Fact<number>): string => (id.known ? hex(id.value, 4) : '????')
  return `[${show(vendor)}:${show(device)}]`
}

function yes(source: AcsSource, reason: string, evidence: readonly string[]): AcsVerdict {
  return { verdict: 'yes', source, reason, evidence, missing: null }
}

function no(source: AcsSource, reason: string, evidence: readonly string[]): AcsVerdict {
  return { verdict: 'no', source, reason, evidence, missing: null }
}

function undecided(reason: string, fact: string, why: string): AcsVerdict {
  const evidence = [`${fact} unknown: ${why}`]
  return { verdict: 'unknown', source: 'unread', reason, evidence, missing: { fact, why } }
}
