/** Who has a group, and what keeps users out of it. */
import type { AssessedGroup } from '../../isolation/assess/assess.ts'
import { driverRole } from '../../isolation/assess/driver-roles.ts'
import type { Viability } from '../../isolation/assess/viability.ts'
import { type Screen, type Style, hanging, shorten } from '../screen.ts'
import { driverText } from './device-text.ts'

/**
 * In a few words, for a row of `ls`: "host: nvidia, snd_hda_intel".
 * @param used columns of the line that are taken already
 */
export function stateText(group: AssessedGroup, screen: Screen, used: number): string {
  if (isBridgesOnly(group)) return screen.paint('dim', 'bridges only')
  const room = screen.width === null ? null : screen.width - used
  const words = shorten(stateWords(group), room, screen.unicode)
  return screen.paint(STATE_STYLE[group.viability.owner], words)
}

/** Base class 06: nothing in the group that anybody would want to have. */
function isBridgesOnly({ members, others, unlisted, viability }: AssessedGroup): boolean {
  if (others.length + unlisted.length > 0 || viability.owner !== 'none') return false
  return members.every(({ fn }) => fn.classCode.known && fn.classCode.value >> 16 === 0x06)
}

const STATE_STYLE: Readonly<Record<Viability['owner'], Style>> = {
  none: 'green',
  user: 'cyan',
  kernel: 'dim',
  mixed: 'red',
  unknown: 'yellow',
}

function stateWords({ viability, members, others }: AssessedGroup): string {
  switch (viability.owner) {
    case 'none':
      return 'free'
    case 'user': {
      const drivers = [...members.map(({ fn }) => fn), ...others].map(driverText)
      const users = [...new Set(drivers)].filter((driver) => driverRole(driver) === 'user')
      return `user: ${users.join(', ')}`
    }
    case 'kernel':
      return `host: ${blockingDrivers(viability)}`
    case 'mixed':
      return `stuck between user and host: ${blockingDrivers(viability)}`
    case 'unknown':
      return 'unknown'
  }
}

function blockingDrivers({ blockers }: Viability): string {
  return [...new Set(blockers.map(({ driver }) => driver))].join(', ')
}

/** Everything about it, for `show`. */
export function viabilityLines(viability: Viability, screen: Screen): readonly string[] {
  const { verdict, rule, blockers, unknowns } = viability
  const rules = rule === 'since-5.19' ? 'kernels since 5.19' : 'kernels before 5.19'
  const answer = {
    viable: 'a user can take the group',
    'not-viable': 'a user cannot take the group now',
    unknown: 'whether a user can take the group is unknown',
  }[verdict]
  return [
    ...hanging('  ', `${answer} (by the rule of ${rules})`, screen.width),
    ...blockers.flatMap(({ device, driver, reason }) =>
      hanging('  ', `${device} is bound to ${driver}: ${reason}`, screen.width),
    ),
    ...unknowns.flatMap(({ device, why }) => hanging('  ', `${device}: ${why}`, screen.width)),
    ...nextStep(viability, screen),
  ]
}

function nextStep({ verdict, blockers }: Viability, screen: Screen): readonly string[] {
  if (verdict !== 'not-viable') return []
  const devices = [...new Set(blockers.map(({ device }) => device))]
  const text = `every one of these has to leave its driver first: ${devices.join(', ')}`
  return hanging('  next: ', text, screen.width)
}
