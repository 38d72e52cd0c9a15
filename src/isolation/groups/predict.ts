/**
 * Derives the isolation groups from topology and config space, at once: the kernel's joins
 * (joins.ts) make a graph whose connected components are the groups.
 *
 * An unknown fact counts as "does not isolate": the predicted groups are then the largest that the
 * facts allow, and `unknown` says what would split them.
 */
import { formatKernelVersion } from '../../base/kernel-version.ts'
import type { HostSnapshot } from '../host.ts'
import type { Node, Topology } from '../topology/topology.ts'
import { acsTable } from './acs.ts'
import { findJoins, type ReasonedJoin } from './joins.ts'
import { type Partition, partition } from './partition.ts'
import type { Join, PredictedGroup, Prediction, UndecidedFact } from './prediction.ts'
import type { Rules } from './rules.ts'
import { predictionWarnings } from './warnings.ts'

/** Never throws; odd topologies give findings. Linear in the number of functions. */
export function predictGroups(
  topology: Topology,
  snapshot: HostSnapshot,
  rules: Rules,
): Prediction {
  const acs = acsTable(rules)
  const joins = withoutUngroupable(topology, findJoins(topology, acs))
  const sets = partition()
  for (const join of joins) if (join.certainty === 'certain') sets.join(plain(join))
  for (const join of joins) if (join.certainty === 'possible') sets.join(plain(join))
  const ungrouped = [...topology.nodes.values()].filter(isIommuFunction)
  return {
    kernel: formatKernelVersion(rules.kernel),
    groups: collectGroups(topology, sets),
    ungrouped: ungrouped.map((node) => ({
      device: node.address,
      why: 'it is the IOMMU itself, whose own DMA is not translated',
    })),
    unknown: undecidedFacts(joins),
    warnings: predictionWarnings({ topology, snapshot, rules, acs, sets }),
  }
}

/** Class 0806: an IOMMU's own function gets no group (drivers/iommu/amd/init.c). */
export function isIommuFunction(node: Node): boolean {
  return node.fn.classCode.known && node.fn.classCode.value >> 8 === 0x0806
}

function withoutUngroupable(
  topology: Topology,
  joins: readonly ReasonedJoin[],
): readonly ReasonedJoin[] {
  const out = new Set<string>()
  for (const node of topology.nodes.values()) if (isIommuFunction(node)) out.add(node.address)
  if (out.size === 0) return joins
  return joins.filter((join) => !out.has(join.device) && !out.has(join.joins))
}

function plain(join: ReasonedJoin): Join {
  const { code, device, joins, decider, reason, evidence, certainty } = join
  return { code, device, joins, decider, reason, evidence, certainty }
}

function collectGroups(topology: Topology, sets: Partition): PredictedGroup[] {
  const groups = new Map<string, { devices: string[]; because: Join[] }>()
  for (const node of topology.nodes.values()) {
    if (isIommuFunction(node)) continue
    const leader = sets.leader(node.address)
    const group = groups.get(leader)
    if (group === undefined) groups.set(leader, { devices: [node.address], because: [] })
    else group.devices.push(node.address)
  }
  for (const join of sets.joins) groups.get(sets.leader(join.device))?.because.push(join)
  return [...groups.values()]
}

/** One entry per missing fact, with everything that hangs on it. */
function undecidedFacts(joins: readonly ReasonedJoin[]): UndecidedFact[] {
  const byFact = new Map<
    string,
    { missing: NonNullable<ReasonedJoin['missing']>; apart: string[] }
  >()
  for (const join of joins) {
    if (join.missing === null) continue
    const key = `${join.missing.device} ${join.missing.fact}`
    const apart = `${join.device} from ${join.joins}`
    const entry = byFact.get(key)
    if (entry === undefined) byFact.set(key, { missing: join.missing, apart: [apart] })
    else if (!entry.apart.includes(apart)) entry.apart.push(apart)
  }
  return [...byFact.values()].map(({ missing, apart }) => ({
    device: missing.device,
    fact: missing.fact,
    why: missing.why,
    effect: `if it isolates, this keeps apart ${listed(apart)}`,
  }))
}

const LISTED_MAX = 4

function listed(items: readonly string[]): string {
  const shown = items.slice(0, LISTED_MAX).join(', ')
  const more = items.length - LISTED_MAX
  return more > 0 ? `${shown} and ${String(more)} more` : shown
}
