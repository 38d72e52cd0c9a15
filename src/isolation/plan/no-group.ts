/** Why a target has no group, and what would give it one: in the words of `doctor`. */
import type { UngroupedFunction } from '../assess/assess.ts'
import { doctor } from '../assess/doctor.ts'
import type { PlanFacts } from './facts.ts'
import { notKnown, type SafetyFinding, safetyFinding } from './safety-finding.ts'

export function noGroupFindings(
  targets: readonly string[],
  facts: PlanFacts,
): readonly SafetyFinding[] {
  const wanted = new Set(targets)
  return facts.assessment.ungrouped
    .filter(({ node }) => wanted.has(node.address))
    .map((one) => noGroup(one, facts))
}

function noGroup({ node, reason, kind }: UngroupedFunction, facts: PlanFacts): SafetyFinding {
  const { address } = node
  if (kind === 'unknown') {
    return notKnown('CLAIM-NO-GROUP', `whether ${address} is in a group is unknown`, reason, [
      address,
    ])
  }
  const fact = `${address} is in no group: ${reason}`
  if (kind === 'normal') {
    return safetyFinding('CLAIM-NO-GROUP', 'refuse', {
      fact,
      evidence: [`/sys/bus/pci/devices/${address}/iommu_group: not there`],
      remedy: 'claim another device; no host has a group for this one',
      about: [address],
    })
  }
  const { findings } = doctor(facts.snapshot, facts.readiness, { kernel: null })
  const cause = findings.find(
    ({ code, severity }) => code.startsWith('HOST-IOMMU') && severity === 'problem',
  )
  return safetyFinding('CLAIM-NO-GROUP', 'refuse', {
    fact: cause === undefined ? fact : `${address} is in no group: ${cause.fact}`,
    evidence: cause?.evidence ?? [`/sys/bus/pci/devices/${address}/iommu_group: not there`],
    remedy: cause?.remedy ?? 'isogroup doctor',
    about: [address],
  })
}
