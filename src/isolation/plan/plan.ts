/**
 * The plan of a claim: for every member what it is, what it does for the host now, what will be done with it
 * and what the host will lose; or why not.
 *
 *     request + facts  ->  Plan { verdict, groups: [{ members, findings, before, target, actions }], findings }
 *
 * Nothing but an explicit plan ever rebinds a device. The plan holds where the group is (`before`) and where
 * it should be (`target`); the steps follow from the two, and so does the way back.
 */
import type { AssessedGroup } from '../assess/assess.ts'
import type { Strength } from '../assess/strength.ts'
import type { Action } from '../transaction/action.ts'
import type { DeviceState, GroupState, NodeState } from '../transaction/state.ts'
import { stepsTo } from '../transaction/steps.ts'
import { groupsOf, type PlanFacts } from './facts.ts'
import { type MemberPlan, memberPlans } from './member-plan.ts'
import { noGroupFindings } from './no-group.ts'
import type { ClaimRequest } from './request.ts'
import { allowFindings, driverFindings, memlockFindings } from './request-findings.ts'
import { jointFindings, safetyFindings } from './safety.ts'
import { refuses, type SafetyFinding, withAllowed } from './safety-finding.ts'

export interface Plan {
  readonly request: ClaimRequest
  /** `refused`: a finding, of a group or of the request, refuses and is not allowed. */
  readonly verdict: 'ready' | 'nothing-to-do' | 'refused'
  /** In the order of the targets, each group once. */
  readonly groups: readonly GroupPlan[]
  /** About the request, the host, or several groups; the others are in their group. */
  readonly findings: readonly SafetyFinding[]
  /** Driver whose module has to be loaded first; null when it is there. */
  readonly loads: string | null
  /** Of all groups, in the order in which they are carried out; also of a refused plan, to be shown. */
  readonly actions: readonly Action[]
}

export interface GroupPlan {
  /** Group id now; never an identity. */
  readonly group: string
  /** Functions in the order of the group, then devices of other buses. */
  readonly members: readonly MemberPlan[]
  readonly findings: readonly SafetyFinding[]
  readonly strength: Strength
  /** Of the functions that the claim holds: neither bridges nor anything else that stays. */
  readonly before: GroupState
  readonly target: GroupState
  readonly actions: readonly Action[]
}

/** Pure: the same request and facts give the same plan. */
export function makePlan(request: ClaimRequest, facts: PlanFacts): Plan {
  const assessed = groupsOf(request, facts.assessment)
  const groups = assessed.map((group) => groupPlan(group, request, facts))
  const actions = groups.flatMap((group) => group.actions)
  const findings = requestFindings(assessed, groups, request, facts, actions.length > 0)
  const all = [...findings, ...groups.flatMap((group) => group.findings)]
  const isReady = actions.length > 0 ? 'ready' : 'nothing-to-do'
  return {
    request,
    verdict: all.some(refuses) ? 'refused' : isReady,
    groups,
    findings,
    loads: actions.length > 0 && !facts.driverLoaded ? request.driver : null,
    actions,
  }
}

/** Every finding of a plan: of the request first, then group by group. */
export function findingsOf(plan: Plan): readonly SafetyFinding[] {
  return [...plan.findings, ...plan.groups.flatMap(({ findings }) => findings)]
}

function groupPlan(group: AssessedGroup, request: ClaimRequest, facts: PlanFacts): GroupPlan {
  const before = facts.states.get(group.id) ?? { group: group.id, devices: [], node: null }
  const target = targetOf(before, request)
  const actions = stepsTo(target, before)
  const findings = safetyFindings(group, request, facts, actions.length === 0)
  return {
    group: group.id,
    members: memberPlans(group, request.driver, facts),
    findings: withAllowed(findings, request.allow),
    strength: group.strength,
    before,
    target,
    actions,
  }
}

function requestFindings(
  assessed: readonly AssessedGroup[],
  groups: readonly GroupPlan[],
  request: ClaimRequest,
  facts: PlanFacts,
  acts: boolean,
): readonly SafetyFinding[] {
  const { vfioPciAvailable } = facts.readiness
  const available =
    request.driver === 'vfio-pci'
      ? vfioPciAvailable
      : ({ known: false, why: 'modules other than vfio-pci are not looked for' } as const)
  const ofGroups = groups.flatMap(({ findings }) => findings)
  const found = [
    ...noGroupFindings(request.targets.flat(), facts),
    ...driverFindings(request.driver, facts.driverLoaded || !acts, available),
    ...jointFindings(assessed, request, facts, ofGroups),
    ...memlockFindings(request, facts.readiness, facts.memlock),
  ]
  const met = new Set([...found, ...ofGroups].map(({ code }) => code))
  return withAllowed([...found, ...allowFindings(request.allow, met)], request.allow)
}

/** Mode of a group's node: for its owner alone. */
const OWNER_ONLY = 0o600

/** Where a group in this state has to get. */
function targetOf(before: GroupState, { driver, owner }: ClaimRequest): GroupState {
  const devices = before.devices.map((device) => targetDevice(device, driver))
  return { group: before.group, devices, node: targetNode(before.node, owner) }
}

function targetDevice(now: DeviceState, driver: string): DeviceState {
  // A device that is on the driver without an override is left as it is: it needs no pull.
  const isThere = now.driver === driver && now.override === null
  return {
    address: now.address,
    present: now.present,
    driver: now.present ? driver : null,
    override: now.present && !isThere ? driver : null,
    // Virtual functions made of a claimed function are not the host's to take.
    autoprobe: now.autoprobe === null ? null : false,
  }
}

/** Without an owner the node stays whose it is, and a new one is root's, as the kernel makes it. */
function targetNode(before: NodeState | null, owner: ClaimRequest['owner']): NodeState {
  if (owner !== null) return { uid: owner.uid, gid: owner.gid, mode: OWNER_ONLY }
  return before ?? { uid: 0, gid: 0, mode: OWNER_ONLY }
}
