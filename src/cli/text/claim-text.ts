/**
 * Claims as a person reads them.
 *
 *     3f9c1a07  group 13  claimed, watched  alice  2 h 5 min
 *       0000:01:00.0  vfio-pci, before: nvidia
 *       reason   for the build machine
 *       open in  qemu-system-x86 (812): /dev/vfio/13
 */
import type { Program } from '../../isolation/live-host.ts'
import type { Protection } from '../../isolation/ownership/protection.ts'
import type { Plan } from '../../isolation/plan/plan.ts'
import type { ClaimView } from '../../service/claim-view.ts'
import { type Screen, type Style, hanging } from '../screen.ts'
import { ageText } from './age-text.ts'
import { counted } from './count-text.ts'
import { failureText } from './failure-text.ts'

const STATE: Readonly<Record<ClaimView['state'], readonly [Style, string]>> = {
  claiming: ['yellow', 'cut short while claiming'],
  claimed: ['green', 'claimed'],
  releasing: ['yellow', 'cut short while releasing'],
  incomplete: ['red', 'not given back completely'],
  history: ['dim', 'of an earlier boot'],
  damaged: ['red', 'its record is damaged'],
}

const LABEL_WIDTH = 9

const PROTECTION: Readonly<Record<Protection, Style>> = {
  sealed: 'green',
  watched: 'yellow',
  broken: 'red',
}

/** @param now milliseconds since 1970 */
export function claimLines(claim: ClaimView, now: number, screen: Screen): readonly string[] {
  const [style, words] = STATE[claim.state]
  const kept =
    claim.state === 'claimed' && claim.protection !== null
      ? `, ${screen.paint(PROTECTION[claim.protection], claim.protection)}`
      : ''
  const id = screen.paint('bold', claim.id)
  const state = `${screen.paint(style, words)}${kept}`
  if (claim.madeAt === null) return [`${id}  ${state}`, ...damageLines(claim, screen)]
  const owner = claim.owner?.name ?? 'root'
  const parts = [id, groupsText(claim), state, owner, ageText(now - claim.madeAt)]
  return [parts.join('  '), ...deviceLines(claim), ...detailLines(claim, now, screen)]
}

/** Nothing is known of it but why that is so. */
function damageLines({ id, changes }: ClaimView, screen: Screen): readonly string[] {
  const files = `claim-${id}.journal and claim-${id}.json`
  const next = `see with isogroup show where its devices are, then remove ${files}`
  return [...changes.map((line) => ['why', line] as const), ['next', next] as const].flatMap(
    ([label, text]) => hanging(`  ${label.padEnd(LABEL_WIDTH)}`, text, screen.width),
  )
}

/** "group 13"; "-" for groups whose devices are gone. */
function groupsText({ groups }: ClaimView): string {
  const ids = groups.map(({ group }) => group ?? '-')
  return `${ids.length === 1 ? 'group' : 'groups'} ${ids.join(', ')}`
}

function deviceLines({ devices, driver }: ClaimView): readonly string[] {
  return devices.map(
    (device) => `  ${device.address}  ${driver ?? '?'}, before: ${device.driver ?? 'no driver'}`,
  )
}

function detailLines(claim: ClaimView, now: number, screen: Screen): readonly string[] {
  const { reason, allowed, users, confirmBy, changes, wedged, failure, left } = claim
  const row = (label: string, text: string): readonly string[] =>
    hanging(`  ${label.padEnd(LABEL_WIDTH)}`, text, screen.width)
  return [
    ...(reason === null ? [] : row('reason', reason)),
    ...(allowed.length === 0 ? [] : row('allowed', allowed.join(', '))),
    ...usersRows(users, row),
    ...(confirmBy === null ? [] : row('confirm', confirmText(claim.id, confirmBy - now))),
    ...changes.flatMap((line) => row('changed', line)),
    ...(failure === null ? [] : row('failed', failureText(failure))),
    ...wedged.flatMap(({ address, step, evidence }) => [
      ...row('wedged', `${address}: ${step} hangs in the kernel; nothing more is tried with it`),
      ...evidence.flatMap((line) => row('', line)),
    ]),
    ...left.flatMap((line) => row('left', line)),
    ...(needsRecovery(claim) ? row('next', 'isogroup recover') : []),
  ]
}

function usersRows(
  users: ClaimView['users'],
  row: (label: string, text: string) => readonly string[],
): readonly string[] {
  if (!users.known) return row('open in', `unknown: ${users.why}`)
  return users.value.flatMap((program) => row('open in', programText(program)))
}

/** "node (812) of user 1000: /dev/vfio/13" */
function programText({ name, pid, uid, file }: Program): string {
  return `${name} (${String(pid)}) of user ${String(uid)}: ${file}`
}

function confirmText(id: string, left: number): string {
  if (left <= 0) return 'the time to confirm it has run out: isogroup recover undoes it'
  return `undone in ${ageText(left)} unless: isogroup confirm ${id}`
}

function needsRecovery({ state }: ClaimView): boolean {
  return state !== 'claimed' && state !== 'damaged'
}

/** After a claim was made: what is so now, and what to do next. */
export function claimedLines(claim: ClaimView, plan: Plan, screen: Screen): readonly string[] {
  const nodes = claim.groups.flatMap(({ group }) => (group === null ? [] : [`/dev/vfio/${group}`]))
  const owner = claim.owner === null ? 'root' : claim.owner.name
  const text = `claimed ${counted(claim.devices.length, 'device')} as ${claim.id}: ${nodes.join(' and ')} for ${owner}`
  const { confirmSeconds } = plan.request
  return [
    ...hanging('', text, screen.width),
    ...(confirmSeconds === null
      ? []
      : hanging(
          '',
          `undone in ${String(confirmSeconds)} seconds unless: isogroup confirm ${claim.id}`,
          screen.width,
        )),
    `  next: isogroup export qemu ${claim.devices[0]?.address ?? ''}`,
    `  back: isogroup release ${claim.id}`,
  ]
}
