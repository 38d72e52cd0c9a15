/**
 * What would separate the devices of a chain of joins, in plain words; and what would not, said just
 * as plainly.
 */
import { formatKernelVersion } from '../../base/kernel-version.ts'
import { hex } from '../../pci/address.ts'
import { ACS, ACS_REQUIRED } from '../../pci/config-facts.ts'
import { type AcsTable, acsTable } from '../groups/acs.ts'
import type { Join } from '../groups/prediction.ts'
import type { Rules } from '../groups/rules.ts'
import type { Node, Topology } from '../topology/topology.ts'
import { cleanPorts, isPort } from './clean-ports.ts'
import type { Remedy, RemedyCode } from './explanation.ts'
import { type Need, disablingArgument, needsOf } from './needs.ts'

/** Nothing for an empty chain: a device that is alone needs no remedy. */
export function remediesFor(
  chain: readonly Join[],
  topology: Topology,
  rules: Rules,
): readonly Remedy[] {
  if (chain.length === 0) return []
  const acs = acsTable(rules)
  return [
    ...moveCard(chain, topology, acs),
    ...needsOf(chain, { topology, rules, acs }).map((need) => inWords(need, rules)),
    ...readMore(chain),
    ...notOverride(chain, rules),
  ]
}

function remedy(
  code: RemedyCode,
  about: readonly string[],
  text: string,
  argument: string | null = null,
): Remedy {
  return { code, text, argument, about }
}

function inWords({ code, about }: Need, rules: Rules): Remedy {
  const addresses = about.map((node) => node.address)
  const [first = '', ...others] = addresses
  const all = addresses.join(', ')
  switch (code) {
    case 'firmware-acs': {
      const text = `${all}: no ACS capability to be seen. Some firmware hides it: look in the setup for "ACS", "AER" or "PCIe ACS support" (often among the chipset or NBIO settings) and switch it on, or update the firmware`
      return remedy(code, addresses, text)
    }
    case 'missing-quirk': {
      const text = `${withIds(about)}: if the vendor states that there is no peer-to-peer path, the kernel can learn that as a quirk; report it to the linux-pci mailing list together with the vendor's statement`
      return remedy(code, addresses, text)
    }
    case 'one-chip': {
      const text = `${withIds(about)} are functions of one chip: only the vendor can say that they do not talk to each other, and such a statement, sent to the linux-pci mailing list, becomes a kernel quirk. Until then give them away together`
      return remedy(code, addresses, text)
    }
    case 'bridge-hides': {
      const text = `nothing separates the devices behind ${all}: the bridge hides who is asking. Only a PCI Express slot would help`
      return remedy(code, addresses, text)
    }
    case 'shared-id': {
      const text = `nothing separates ${first} from ${others.join(', ')}: it asks under a requester id that is not its own, a fault of the hardware. Use another device`
      return remedy(code, addresses, text)
    }
    case 'vmd-off': {
      const text = `switch VMD off in the firmware setup (often called "RST", "RAID mode" or "Intel Volume Management Device"): then the devices behind ${first} ask for themselves. Check before how the system on those disks boots`
      return remedy(code, addresses, text)
    }
    case 'drop-argument': {
      const argument = disablingArgument(rules) ?? ''
      const text = `${all} can isolate, but the kernel command line changes the ACS bits: take ${argument} away, or leave these devices out of it`
      return remedy(code, addresses, text, argument)
    }
    case 'config-acs': {
      const argument = configArgument(about)
      const text = `${all} can isolate, but required ACS bits are off: add ${argument} to the kernel command line and start the machine again`
      return remedy(code, addresses, text, argument)
    }
    case 'newer-kernel': {
      const argument = configArgument(about)
      const text = `${all} can isolate, but required ACS bits are off: kernels since 6.11 turn them on with ${argument}; ${formatKernelVersion(rules.kernel)} has no such argument`
      return remedy(code, addresses, text, argument)
    }
  }
}

/** One argument for all of them (drivers/pci/pci.c, pci_dev_str_match: entries end with a semicolon). */
function configArgument(nodes: readonly Node[]): string {
  const entries = nodes.map((node) => `${configFlags(node)}@${node.address}`)
  return `pci=config_acs=${entries.join(';')}`
}

/** Bits 6 to 0: 1 for the required ones that the hardware has, x for "leave it". */
function configFlags(node: Node): string {
  const acs = node.fn.config.acs
  const bits = acs.known && acs.value !== null ? acs.value.bits : null
  const capability = bits?.known === true ? bits.value.capability : 0
  let flags = ''
  for (let bit: number = ACS.directTranslated; bit > 0; bit >>= 1) {
    flags += (bit & ACS_REQUIRED & capability) === 0 ? 'x' : '1'
  }
  return flags
}

const PORTS_SHOWN = 6

/** Only where a port or bridge on the way is at fault, and only for what is below one. */
function moveCard(chain: readonly Join[], topology: Topology, acs: AcsTable): readonly Remedy[] {
  const ends = chain
    .flatMap(({ device, joins }) => [topology.nodes.get(device), topology.nodes.get(joins)])
    .filter((node) => node !== undefined)
  const isWayAtFault = chain.some(
    ({ code, decider }) =>
      code === 'no-acs-above' || code === 'bridge-alias' || isPortAt(topology, decider),
  )
  if (!isWayAtFault || !ends.some((node) => node.parent !== null && !isBridge(node))) return []
  const ports = cleanPorts(topology, acs)
  if (ports.length === 0) {
    const text =
      'another slot does not help: no port of this machine has a way to the root that isolates'
    return [remedy('move-card', [], text)]
  }
  const shown = ports
    .slice(0, PORTS_SHOWN)
    .map(({ port, behind }) =>
      behind.length === 0 ? `${port} (free)` : `${port} (holds ${behind.join(', ')})`,
    )
  const more = ports.length - shown.length
  const list = more > 0 ? `${shown.join(', ')} and ${String(more)} more` : shown.join(', ')
  const text = `move the card to a slot behind a port that isolates. On this machine: ${list}. The manual of the board tells which of them are slots`
  const about = ports.map(({ port }) => port)
  return [remedy('move-card', about, text)]
}

function isPortAt(topology: Topology, address: string): boolean {
  const node = topology.nodes.get(address)
  return node !== undefined && isPort(node)
}

function isBridge(node: Node): boolean {
  const { buses } = node.fn.config
  return buses.known ? buses.value !== null : node.children.length > 0
}

function readMore(chain: readonly Join[]): readonly Remedy[] {
  const open = chain.filter((join) => join.certainty === 'possible')
  if (open.length === 0) return []
  const about = [...new Set(open.map((join) => join.decider))]
  const text = `this rests on facts of ${about.join(', ')} that could not be read and count as "does not isolate": read the host as root, or make the text with \`lspci -vvv -xxxx\` as root`
  return [remedy('read-more', about, text)]
}

/** Where ACS is what is missing, somebody will have heard of the patch. */
function notOverride(chain: readonly Join[], rules: Rules): readonly Remedy[] {
  if (!chain.some(({ code }) => code === 'no-acs-above' || code === 'multifunction')) return []
  const text =
    rules.acsOverride === null
      ? 'not the ACS override patch (pcie_acs_override=): it makes the kernel show separate groups while the devices can reach each other as before. It only hides the truth and is not safe'
      : 'the ACS override patch is in use (pcie_acs_override=): separate groups that the kernel shows are not true, the devices can reach each other. Take it away'
  return [remedy('not-override', [], text)]
}

function withIds(nodes: readonly Node[]): string {
  return nodes.map((node) => `${node.address} ${idsOf(node)}`).join(', ')
}

function idsOf(node: Node): string {
  const { vendor, device } = node.fn
  const show = (id: typeof vendor): string => (id.known ? hex(id.value, 4) : '????')
  return `[${show(vendor)}:${show(device)}]`
}
