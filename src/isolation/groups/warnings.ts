/**
 * What a prediction must say beside the groups: places where the kernel's groups promise more than
 * the hardware keeps, and places where a hot-added device would be grouped otherwise.
 */
import type { Finding } from '../../base/finding.ts'
import { PCIE_TYPE } from '../../pci/config-facts.ts'
import type { HostSnapshot } from '../host.ts'
import type { Topology } from '../topology/topology.ts'
import type { AcsTable } from './acs.ts'
import { aliasesInMemory } from './alias-quirks.ts'
import type { Partition } from './partition.ts'
import { isMultifunction, portType, slotMates } from './port-type.ts'
import type { Rules } from './rules.ts'

export interface WarningContext {
  readonly topology: Topology
  readonly snapshot: HostSnapshot
  readonly rules: Rules
  readonly acs: AcsTable
  readonly sets: Partition
}

export function predictionWarnings(context: WarningContext): readonly Finding[] {
  return [
    ...overrideWarning(context),
    ...switchWarnings(context),
    ...slotWarnings(context),
    ...memoryAliasWarnings(context),
    ...damageWarnings(context),
  ]
}

function overrideWarning({ rules }: WarningContext): Finding[] {
  if (rules.acsOverride === null) return []
  return [
    {
      code: 'GRP-OVERRIDE',
      severity: 'problem',
      fact: 'the ACS override patch is active: this host claims isolation that its hardware does not give, so its groups cannot be trusted',
      evidence: [`kernel command line: pcie_acs_override=${rules.acsOverride}`],
      remedy:
        'remove pcie_acs_override= from the command line; see `isogroup predict` for the groups that the hardware supports',
      about: [],
    },
  ]
}

/** The hole of kernel.md 1.4: ports of one switch are never compared with each other. */
function switchWarnings({ topology, acs, sets }: WarningContext): Finding[] {
  const findings: Finding[] = []
  for (const node of topology.nodes.values()) {
    const type = portType(node)
    if (!type.known || type.value !== PCIE_TYPE.upstreamPort) continue
    const ports = node.children.filter((port) => {
      const portKind = portType(port)
      return portKind.known && portKind.value === PCIE_TYPE.downstreamPort
    })
    const open = ports.filter((port) => acs.verdict(port).verdict === 'no')
    const groups = new Set(ports.map((port) => sets.leader(port.address)))
    if (open.length === 0 || groups.size < 2) continue
    findings.push({
      code: 'GRP-SWITCH-PEER',
      severity: 'warning',
      fact: `the ports below switch ${node.address} are in ${String(groups.size)} groups, but ${String(open.length)} of them lack ACS: devices below them can reach each other through the switch`,
      evidence: open.map((port) => `${port.address}: ${acs.verdict(port).evidence.join(', ')}`),
      remedy:
        'give all devices below this switch to the same owner, or use slots that do not share a switch without ACS',
      about: ports.map((port) => port.address),
    })
  }
  return findings
}

function slotWarnings({ topology, acs, sets }: WarningContext): Finding[] {
  const findings: Finding[] = []
  for (const node of topology.nodes.values()) {
    if (node.at.function === 0 || node.isVirtual) continue
    const flag = isMultifunction(node)
    if (!flag.byNumberOnly || acs.verdict(node).verdict === 'yes') continue
    const mates = slotMates(node).filter(
      (mate) => mate !== node && sets.leader(mate.address) === sets.leader(node.address),
    )
    if (mates.length === 0 || (node.parent !== null && acs.failing(node.parent) !== null)) continue
    findings.push({
      code: 'GRP-HOTPLUG-SPLIT',
      severity: 'warning',
      fact: `${node.address} is grouped with its slot mates at boot, but would get a group of its own if it were removed and added again`,
      evidence: [
        `${node.address}: header type 0x0e bit 7 is clear; the kernel sets the flag after grouping on hot add`,
      ],
      remedy: 'do not remove and rescan this function while its group is in use',
      about: [node.address, ...mates.map((mate) => mate.address)],
    })
  }
  return findings
}

function memoryAliasWarnings({ topology }: WarningContext): Finding[] {
  const findings: Finding[] = []
  for (const node of topology.nodes.values()) {
    if (!aliasesInMemory(node)) continue
    findings.push({
      code: 'GRP-ALIAS-TABLE',
      severity: 'unknown',
      fact: `${node.address} keeps a table of requester ids in its own memory, which only the kernel reads: devices it stands for join its group`,
      evidence: [`${node.address}: a non-transparent bridge with a proxy id table`],
      remedy: 'compare with the groups that the kernel made on the host itself',
      about: [node.address],
    })
  }
  return findings
}

function damageWarnings({ topology, snapshot }: WarningContext): Finding[] {
  const findings: Finding[] = []
  for (const fact of topology.damage) {
    findings.push(damaged(fact, []))
  }
  for (const fn of snapshot.functions) {
    for (const line of fn.config.damage)
      findings.push(damaged(`${fn.address}: ${line}`, [fn.address]))
  }
  return findings
}

function damaged(fact: string, about: readonly string[]): Finding {
  return {
    code: 'GRP-DAMAGED',
    severity: 'warning',
    fact,
    evidence: ['config space or text as read'],
    remedy: 'read the host again as root; if it stays so, the device or its firmware is faulty',
    about,
  }
}
