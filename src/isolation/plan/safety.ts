/**
 * Everything that speaks against a claim, judged for every member of every group and not only the one that
 * was named: whoever asks for a graphics card gets its sound function and the disk in the same group too.
 *
 *     disks, networks, screens, programs   of each member that would be given away
 *     bridges, other buses, owners, walls  of each group
 *     keyboards and the way back           of all groups of the request together
 */
import { unknown } from '../../base/fact.ts'
import type { AssessedGroup } from '../assess/assess.ts'
import type { DeviceUsage } from '../live-host.ts'
import { diskFindings } from './disk-findings.ts'
import { heldBy, type PlanFacts } from './facts.ts'
import {
  claimedFindings,
  fixedMemoryFindings,
  ownedFindings,
  stayingFindings,
  strengthFindings,
  takenFindings,
} from './group-safety.ts'
import { fateOf } from './member.ts'
import type { ClaimRequest } from './request.ts'
import type { SafetyFinding } from './safety-finding.ts'
import { programFindings, virtualFunctionFindings } from './use-findings.ts'
import {
  displayFindings,
  keyboardFindings,
  networkFindings,
  wayBackFindings,
} from './way-findings.ts'

/**
 * Findings of one group, none of them allowed yet.
 * @param idle whether nothing needs to be done for it
 */
export function safetyFindings(
  group: AssessedGroup,
  request: ClaimRequest,
  facts: PlanFacts,
  idle: boolean,
): readonly SafetyFinding[] {
  const { driver } = request
  const users = facts.users.get(group.id) ?? unknown('it was not looked at')
  return [
    ...usagesOf([group], driver, facts).flatMap((usage) => [
      ...diskFindings(usage),
      ...networkFindings(usage),
      ...displayFindings(usage),
      ...programFindings(usage),
      ...virtualFunctionFindings(usage),
    ]),
    ...takenFindings(group, driver, facts.claims),
    ...stayingFindings(group, driver),
    ...claimedFindings(heldBy(group, driver), request, facts.claims, idle),
    ...ownedFindings(group.id, users, idle),
    ...fixedMemoryFindings(group),
    ...strengthFindings(group),
  ]
}

/** Findings that only all groups of the request together give. @param found those of the single groups */
export function jointFindings(
  groups: readonly AssessedGroup[],
  request: ClaimRequest,
  facts: PlanFacts,
  found: readonly SafetyFinding[],
): readonly SafetyFinding[] {
  const usages = usagesOf(groups, request.driver, facts)
  const keyboards = keyboardFindings(usages)
  // A claim that undoes itself unless confirmed leaves a way back by itself.
  if (request.confirmSeconds !== null) return keyboards
  return [...keyboards, ...wayBackFindings(usages, [...found, ...keyboards])]
}

/** Of the members that would be given away. One that nobody looked at is unknown in all respects. */
function usagesOf(
  groups: readonly AssessedGroup[],
  driver: string,
  { usage }: PlanFacts,
): readonly DeviceUsage[] {
  return groups.flatMap(({ members }) =>
    members
      .filter((node) => fateOf(node, driver) === 'move')
      .map(({ address }) => usage.get(address) ?? unreadUsage(address)),
  )
}

function unreadUsage(address: string): DeviceUsage {
  const not = unknown('it was not looked at')
  return {
    address,
    disks: not,
    networks: not,
    displays: not,
    keyboards: not,
    logins: not,
    programs: not,
    virtualFunctions: not,
  }
}
