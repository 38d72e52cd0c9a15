/**
 * A plan as a person reads it: for each group a small table of its members, what speaks against it, what
 * follows.
 *
 *     group 2  TDPMR?
 *       DEVICE        NOW            THEN      WHAT IT IS
 *       0000:00:01.0  pcieport       stays     Intel 6th-10th Gen Core Processor PC… [8086:1901]
 *       0000:01:00.0  nvidia         vfio-pci  NVIDIA TU117M [GeForce GTX 1650 Mobi… [10de:1f91]
 *         now   is the screen that the firmware started
 *         lost  graphics card0
 */
import type { GroupPlan, Plan } from '../../isolation/plan/plan.ts'
import type { MemberPlan } from '../../isolation/plan/member-plan.ts'
import { refuses, type SafetyFinding } from '../../isolation/plan/safety-finding.ts'
import { type Screen, hanging, shorten } from '../screen.ts'
import { counted } from './count-text.ts'
import { type DeviceLayout, labelText } from './device-text.ts'
import { findingLines } from './finding-text.ts'
import { strengthLetters } from './strength-text.ts'

export function planLines(plan: Plan, layout: DeviceLayout): readonly string[] {
  const { screen } = layout
  const blocks = plan.groups.map((group) => groupPlanLines(group, plan, layout))
  const general = safetyLines(plan.findings, screen)
  if (general.length > 0) blocks.push([screen.paint('bold', 'the request'), ...general])
  return blocks.flatMap((block, index) => (index === 0 ? block : ['', ...block]))
}

function groupPlanLines(group: GroupPlan, plan: Plan, layout: DeviceLayout): readonly string[] {
  const { screen } = layout
  const letters = strengthLetters(group.strength, screen)
  const columns = columnsOf(group.members)
  const findings = safetyLines(group.findings, screen)
  return [
    `${screen.paint('bold', `group ${group.group}`)}  ${letters}`,
    screen.paint(
      'dim',
      `  ${'DEVICE'.padEnd(columns.name)}  ${'NOW'.padEnd(columns.now)}  ${'THEN'.padEnd(columns.then)}  WHAT IT IS`,
    ),
    ...group.members.flatMap((member) => memberLines(member, plan, columns, layout)),
    ...nodeLines(group, plan, screen),
    ...(findings.length === 0 ? [] : ['', ...findings]),
  ]
}

interface Columns {
  readonly name: number
  readonly now: number
  readonly then: number
}

/** A long driver name may push its own line out of the columns, not all the others. */
const DRIVER_WIDTH_MAX = 14

function columnsOf(members: readonly MemberPlan[]): Columns {
  const widest = (texts: readonly string[], least: string): number =>
    Math.max(least.length, ...texts.map(({ length }) => Math.min(length, DRIVER_WIDTH_MAX)))
  return {
    name: Math.max('DEVICE'.length, ...members.map(({ name }) => name.length)),
    now: widest(members.map(nowText), 'NOW'),
    then: 'vfio-pci'.length,
  }
}

function nowText({ driver }: MemberPlan): string {
  return driver.known ? (driver.value ?? '-') : '?'
}

function thenText({ fate }: MemberPlan, plan: Plan): string {
  return fate === 'stays' ? 'stays' : plan.request.driver
}

function memberLines(
  member: MemberPlan,
  plan: Plan,
  columns: Columns,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const now = nowText(member).padEnd(columns.now)
  const then = thenText(member, plan).padEnd(columns.then)
  const head = `  ${member.name.padEnd(columns.name)}  ${now}  ${then}  `
  const what =
    member.fn === null
      ? shorten(member.will, screen.width, screen.unicode)
      : labelText(member.fn, layout, head.length)
  const painted = `  ${member.name.padEnd(columns.name)}  ${screen.paint('cyan', now)}  ${screen.paint(member.fate === 'stays' ? 'dim' : 'green', then)}  `
  const list = (label: string, texts: readonly string[]): readonly string[] =>
    texts.length === 0 ? [] : hanging(`    ${label.padEnd(8)}`, texts.join(', '), screen.width)
  return [
    `${painted}${what}`,
    ...list('now', member.does),
    ...list('unseen', member.notSeen),
    ...list('lost', member.fate === 'move' ? member.loses : []),
  ]
}

/** Who gets the node; nothing when that stays as it is. */
function nodeLines(group: GroupPlan, { request }: Plan, screen: Screen): readonly string[] {
  const { owner } = request
  if (owner === null) return []
  const text = `/dev/vfio/${group.group} for ${owner.name} (${String(owner.uid)}:${String(owner.gid)})`
  return hanging('  ', text, screen.width)
}

/** What stands in the way first, then what to think about, then what was accepted. */
function safetyLines(findings: readonly SafetyFinding[], screen: Screen): readonly string[] {
  const rank = (finding: SafetyFinding): number => (refuses(finding) ? 0 : finding.allowed ? 2 : 1)
  return [...findings]
    .sort((a, b) => rank(a) - rank(b))
    .flatMap((finding) => safetyFindingLines(finding, screen))
}

function safetyFindingLines(finding: SafetyFinding, screen: Screen): readonly string[] {
  if (!finding.allowed) return findingLines(finding, screen)
  const remedy = `accepted by --allow ${finding.code}`
  return findingLines({ ...finding, severity: 'warning', evidence: [], remedy }, screen)
}

/** One sentence about what the plan amounts to. */
export function verdictText(plan: Plan): string {
  const all = [...plan.findings, ...plan.groups.flatMap(({ findings }) => findings)]
  const groups = groupNames(plan)
  switch (plan.verdict) {
    case 'ready': {
      const moved = plan.groups.flatMap(({ members }) =>
        members.filter(({ fate }) => fate === 'move'),
      )
      const count = counted(moved.length, 'device')
      return `${groups}: ready, ${count} would go to ${plan.request.driver}`
    }
    case 'nothing-to-do':
      return `${groups}: nothing to do, all is as the claim wants it`
    case 'refused': {
      const codes = [...new Set(all.filter(refuses).map(({ code }) => code))]
      return `${groups}: refused because of ${codes.join(', ')}`
    }
  }
}

/** "group 2", "groups 2 and 13", "the request" when no group was found. */
export function groupNames({ groups }: Plan): string {
  const ids = groups.map(({ group }) => group)
  const last = ids.at(-1)
  if (last === undefined) return 'the request'
  return ids.length === 1 ? `group ${last}` : `groups ${ids.slice(0, -1).join(', ')} and ${last}`
}

/** What to do about a refusal: accept what can be accepted, or put the rest right first. */
export function refusalHint(plan: Plan): string {
  const all = [...plan.findings, ...plan.groups.flatMap(({ findings }) => findings)]
  const inTheWay = all.filter(refuses)
  const firm = inTheWay.filter(({ overridable }) => !overridable)
  if (firm.length > 0) {
    return `each finding says what to do; ${codesOf(firm)} cannot be allowed`
  }
  const options = [...new Set(inTheWay.map(({ code }) => `--allow ${code}`))]
  return `each finding says what to do; or accept what they say: ${options.join(' ')}`
}

function codesOf(findings: readonly SafetyFinding[]): string {
  return [...new Set(findings.map(({ code }) => code))].join(', ')
}
