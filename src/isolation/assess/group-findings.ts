/** What the groups themselves say: functions without one, and groups that firmware ties to fixed memory. */
import type { HostGroup, HostSnapshot } from '../host.ts'
import type { Topology } from '../topology/topology.ts'
import { type UngroupedFunction, ungroupedFunctions } from './assess.ts'
import { hasRealGroups } from './iommu-findings.ts'
import type { Membership } from './membership.ts'
import { finding, type HostFinding, listed } from './readiness.ts'
import { isFixed } from './strength.ts'

/** Nothing without groups: then the IOMMU findings have said all there is. */
export function groupFindings(
  snapshot: HostSnapshot,
  topology: Topology,
  membership: Membership,
): readonly HostFinding[] {
  if (!hasRealGroups(snapshot)) return []
  const without = ungroupedFunctions(snapshot, topology, membership)
  const groups = snapshot.groups.known ? snapshot.groups.value : []
  return [...ungroupedFindings(without), ...fixedMemoryFindings(groups)]
}

function ungroupedFindings(without: readonly UngroupedFunction[]): HostFinding[] {
  const found: HostFinding[] = []
  const of = (kind: UngroupedFunction['kind']): string[] =>
    without.filter((one) => one.kind === kind).map(({ node }) => node.address)
  const normal = of('normal')
  const bare = of('no-group')
  const open = of('unknown')
  const why = without.find((one) => one.kind === 'unknown')?.reason ?? ''
  if (normal.length > 0) {
    found.push(
      finding('HOST-UNGROUPED-NORMAL', 'info', {
        fact: `${listed(normal)} ${normal.length === 1 ? 'has' : 'have'} no group, which is normal for an IOMMU and a host bridge`,
        evidence: ['classes 0806 and 0600'],
        about: normal,
      }),
    )
  }
  if (bare.length > 0) {
    found.push(
      finding('HOST-UNGROUPED', 'warning', {
        fact: `${String(bare.length)} PCI ${bare.length === 1 ? 'function has' : 'functions have'} no group: ${listed(bare)}; nothing isolates them, so they cannot be handed to users`,
        evidence: bare
          .slice(0, 1)
          .map((address) => `/sys/bus/pci/devices/${address}/iommu_group: not there`),
        remedy:
          'as root: dmesg | grep -i -e DMAR -e AMD-Vi -e IOMMU tells which devices firmware leaves out',
        about: bare,
      }),
    )
  }
  if (open.length > 0) {
    found.push(
      finding('HOST-UNGROUPED', 'unknown', {
        fact: `whether ${String(open.length)} PCI ${open.length === 1 ? 'function is' : 'functions are'} in a group is unknown: ${listed(open)}`,
        evidence: [why],
        about: open,
      }),
    )
  }
  return found
}

function fixedMemoryFindings(groups: readonly HostGroup[]): HostFinding[] {
  const tied = groups.filter(({ reserved }) => reserved.known && reserved.value.some(isFixed))
  const unread = groups.filter(({ reserved }) => !reserved.known)
  const found: HostFinding[] = []
  if (tied.length > 0) {
    found.push(
      finding('HOST-RMRR', 'warning', {
        fact: `firmware demands fixed memory mappings for ${tied.length === 1 ? 'group' : 'groups'} ${listed(tied.map(({ id }) => id))}: VFIO refuses them`,
        evidence: tied.map(({ id }) => `/sys/kernel/iommu_groups/${id}/reserved_regions: direct`),
        remedy:
          "look for a firmware setting or update from the machine's vendor; there is no safe way around it",
        about: tied.map(({ id }) => id),
      }),
    )
  }
  if (unread.length > 0) {
    const first = unread[0]?.reserved
    found.push(
      finding('HOST-RMRR', 'unknown', {
        fact: `whether firmware demands fixed memory mappings is unknown for ${String(unread.length)} of ${String(groups.length)} groups`,
        evidence: [first?.known === false ? `reserved_regions: ${first.why}` : 'reserved_regions'],
        about: unread.map(({ id }) => id),
      }),
    )
  }
  if (found.length > 0) return found
  return [
    finding('HOST-RMRR', 'ok', {
      fact: 'firmware demands no fixed memory mappings that would keep a group from users',
      evidence: ['/sys/kernel/iommu_groups/*/reserved_regions: none of kind direct'],
    }),
  ]
}
