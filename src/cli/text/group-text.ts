/** A group in a list: one row for the group, its devices below. */
import type { AssessedGroup } from '../../isolation/assess/assess.ts'
import { type Screen, shorten } from '../screen.ts'
import { type DeviceLayout, deviceLine, otherLine } from './device-text.ts'
import { strengthLetters } from './strength-text.ts'
import { stateText } from './viability-text.ts'

const ID_WIDTH = 5
const STATE_COLUMN = 'GROUP  STRENGTH  '.length

/** The heading over the rows of groups. */
export function groupListTitle(screen: Screen): string {
  return screen.paint('dim', `${'GROUP'.padEnd(ID_WIDTH)}  STRENGTH  STATE, DEVICES`)
}

export function groupLines(group: AssessedGroup, layout: DeviceLayout): readonly string[] {
  const { screen } = layout
  const id = screen.paint('bold', group.id.padEnd(ID_WIDTH))
  const strength = strengthLetters(group.strength, screen)
  const state = stateText(group, screen, STATE_COLUMN)
  return [`${id}  ${strength}    ${state}`, ...memberLines(group, layout)]
}

/** The devices of a group, one a line. */
export function memberLines(group: AssessedGroup, layout: DeviceLayout): readonly string[] {
  const { screen } = layout
  const lost = group.unlisted.map((name) =>
    shorten(`  ${name}  a member that could not be read`, screen.width, screen.unicode),
  )
  return [
    ...group.members.map(({ fn }) => deviceLine(fn, layout, '  ')),
    ...group.others.map((other) => otherLine(other, layout, '  ')),
    ...lost,
  ]
}
