/**
 * Could a user take the group now, as far as the bound drivers decide?
 *
 * Since Linux 5.19 DMA has one owner per group: every driver that does not say `driver_managed_dma`
 * counts as the kernel's hold on the group (drivers/iommu/iommu.c, iommu_device_use_default_domain).
 * Before, VFIO looked at a list: unbound, on a VFIO driver, pci-stub, or any bridge
 * (drivers/vfio/vfio.c, vfio_dev_viable). The two differ for bridges on drivers like shpchp.
 */
import { atLeast } from '../../base/kernel-version.ts'
import type { Fact } from '../../base/fact.ts'
import type { Rules } from '../groups/rules.ts'
import type { Node } from '../topology/topology.ts'
import { bridgeKind } from './bridge.ts'
import { driverRole } from './driver-roles.ts'
import type { AssessedMembers } from './membership.ts'

export interface Viability {
  /** `viable`: no member is on a driver that keeps users out. */
  readonly verdict: 'viable' | 'not-viable' | 'unknown'
  /** Which kernel's rule was applied. */
  readonly rule: ViabilityRule
  readonly blockers: readonly ViabilityBlocker[]
  /** What could still turn out to be a blocker. */
  readonly unknowns: readonly ViabilityUnknown[]
  /**
   * Who has the group: `kernel` (kernel drivers, no VFIO driver), `user` (viable and a member is on a
   * VFIO driver), `none` (viable, no VFIO driver), `mixed` (both, so nobody can use it).
   */
  readonly owner: 'kernel' | 'user' | 'none' | 'mixed' | 'unknown'
}

export type ViabilityRule = 'since-5.19' | 'before-5.19'

export interface ViabilityBlocker {
  readonly device: string
  readonly driver: string
  /** Why this driver keeps users out, in half a sentence. */
  readonly reason: string
}

export interface ViabilityUnknown {
  readonly device: string
  readonly why: string
}

/** One member, whatever its bus. */
interface Member {
  readonly name: string
  readonly driver: Fact<string | null>
  readonly node: Node | null
}

interface Findings {
  readonly blockers: ViabilityBlocker[]
  readonly unknowns: ViabilityUnknown[]
  hasUserDriver: boolean
}

/** @param context whose kernel version chooses the rule */
export function viabilityOf(group: AssessedMembers, context: { readonly rules: Rules }): Viability {
  const { kernel, kernelKnown } = context.rules
  const rule = atLeast(kernel, 5, 19) ? 'since-5.19' : 'before-5.19'
  const quick = withoutBlockers(group, rule)
  if (quick !== null) return quick
  const chosen = judge(group, rule)
  if (kernelKnown) return chosen
  const other = judge(group, rule === 'since-5.19' ? 'before-5.19' : 'since-5.19')
  if (other.verdict === chosen.verdict) return chosen
  const why = 'the kernel version is unknown, and kernels before and since 5.19 differ here'
  const device = chosen.blockers[0]?.device ?? other.blockers[0]?.device ?? group.group.id
  return {
    ...chosen,
    verdict: 'unknown',
    owner: 'unknown',
    blockers: [],
    unknowns: [...chosen.unknowns, { device, why }],
  }
}

const NONE: readonly never[] = []

function viable(rule: ViabilityRule, owner: 'user' | 'none'): Viability {
  return { verdict: 'viable', rule, blockers: NONE, unknowns: NONE, owner }
}

const VIABLE = {
  'since-5.19': { user: viable('since-5.19', 'user'), none: viable('since-5.19', 'none') },
  'before-5.19': { user: viable('before-5.19', 'user'), none: viable('before-5.19', 'none') },
} as const

/** The common case, without making anything: all members unbound or on harmless drivers. */
function withoutBlockers(group: AssessedMembers, rule: ViabilityRule): Viability | null {
  if (group.others.length > 0 || group.unlisted.length > 0) return null
  let owner: 'user' | 'none' = 'none'
  for (const { fn } of group.members) {
    if (!fn.driver.known) return null
    const role = fn.driver.value === null ? 'harmless' : driverRole(fn.driver.value)
    if (role === 'user') owner = 'user'
    else if (role !== 'harmless') return null
  }
  return VIABLE[rule][owner]
}

function judge(group: AssessedMembers, rule: ViabilityRule): Viability {
  const findings: Findings = { blockers: [], unknowns: [], hasUserDriver: false }
  for (const node of group.members) {
    judgeMember({ name: node.address, driver: node.fn.driver, node }, rule, findings)
  }
  for (const { name, driver } of group.others) {
    judgeMember({ name, driver, node: null }, rule, findings)
  }
  for (const device of group.unlisted) {
    findings.unknowns.push({ device, why: 'in the group, but not among the devices read' })
  }
  const { blockers, unknowns } = findings
  const verdict = blockers.length > 0 ? 'not-viable' : unknowns.length > 0 ? 'unknown' : 'viable'
  return { verdict, rule, blockers, unknowns, owner: ownerOf(findings) }
}

function judgeMember(member: Member, rule: ViabilityRule, findings: Findings): void {
  const { name, driver, node } = member
  if (!driver.known) {
    findings.unknowns.push({ device: name, why: `driver: ${driver.why}` })
    return
  }
  if (driver.value === null) return
  const role = driverRole(driver.value)
  if (role === 'user') findings.hasUserDriver = true
  if (role === 'user' || role === 'harmless') return
  if (rule === 'before-5.19' && node !== null) {
    const kind = bridgeKind(node)
    if (kind === 'bridge') return
    if (kind === 'unknown') {
      findings.unknowns.push({ device: name, why: 'header type unknown: it may be a bridge' })
      return
    }
  }
  if (role === 'kernel') {
    findings.blockers.push({ device: name, driver: driver.value, reason: REASON[rule] })
  } else {
    findings.unknowns.push({
      device: name,
      why: `driver ${driver.value} looks like a VFIO driver, but is not one that isogroup knows`,
    })
  }
}

const REASON: Readonly<Record<ViabilityRule, string>> = {
  'since-5.19': 'a kernel driver, which holds the group for the kernel while it is bound',
  'before-5.19': 'neither a VFIO driver nor one that VFIO tolerates in a group',
}

function ownerOf({ blockers, unknowns, hasUserDriver }: Findings): Viability['owner'] {
  if (blockers.length > 0 && hasUserDriver) return 'mixed'
  if (unknowns.length > 0) return 'unknown'
  if (blockers.length > 0) return 'kernel'
  return hasUserDriver ? 'user' : 'none'
}
