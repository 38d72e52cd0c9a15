/** `plan --json`, and the plan in `claim --json`. */
import type { LiveHost, Write } from '../../isolation/live-host.ts'
import type { MemberPlan } from '../../isolation/plan/member-plan.ts'
import type { Plan } from '../../isolation/plan/plan.ts'
import type { SafetyFinding } from '../../isolation/plan/safety-finding.ts'
import type { ClaimOwner } from '../../isolation/plan/request.ts'
import type { Strength } from '../../isolation/assess/strength.ts'
import type { HostService } from '../../isolation/host.ts'
import { describeAction } from '../../isolation/transaction/action.ts'
import { type DeviceJson, deviceJson, same, shown } from './device-json.ts'

export interface PlanJson {
  readonly verdict: Plan['verdict']
  readonly driver: string
  readonly owner: ClaimOwner | null
  readonly reason: string | null
  readonly allow: readonly string[]
  readonly confirmSeconds: number | null
  readonly groups: readonly GroupPlanJson[]
  /** About the request or several groups; the others are in their group. */
  readonly findings: readonly SafetyFinding[]
  /** Driver whose module is loaded first; null when it is there. */
  readonly loads: string | null
  readonly steps: readonly StepJson[]
}

export interface GroupPlanJson {
  readonly id: string
  readonly members: readonly MemberPlanJson[]
  readonly findings: readonly SafetyFinding[]
  readonly strength: Strength
}

export interface MemberPlanJson {
  readonly name: string
  /** null for a member that is no PCI function or was not found. */
  readonly device: DeviceJson | null
  readonly driver: string | null
  readonly fate: MemberPlan['fate']
  readonly services: readonly HostService[] | null
  readonly does: readonly string[]
  /** Checks that could not be made. */
  readonly notSeen: readonly string[]
  readonly will: string
  readonly loses: readonly string[]
  readonly unknown: Readonly<Record<string, string>>
}

export interface StepJson {
  readonly step: string
  readonly writes: readonly Write[]
}

export function planJson(plan: Plan, host: LiveHost): PlanJson {
  const { driver, owner, reason, allow, confirmSeconds } = plan.request
  return {
    verdict: plan.verdict,
    ...{ driver, owner, reason, allow, confirmSeconds },
    groups: plan.groups.map(({ group, members, findings, strength }) => ({
      id: group,
      members: members.map(memberJson),
      findings,
      strength,
    })),
    findings: plan.findings,
    loads: plan.loads,
    steps: plan.actions.map((action) => ({
      step: describeAction(action),
      writes: host.writesOf(action),
    })),
  }
}

function memberJson(member: MemberPlan): MemberPlanJson {
  const unknown: Record<string, string> = {}
  const { name, fn, fate, does, notSeen, will, loses } = member
  return {
    name,
    device: fn === null ? null : deviceJson(fn),
    driver: shown(unknown, 'driver', member.driver, same),
    fate,
    services: shown(unknown, 'services', member.services, same),
    ...{ does, notSeen, will, loses },
    unknown,
  }
}
