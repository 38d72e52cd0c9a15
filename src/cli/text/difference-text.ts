/**
 * Differences between two sides, as people read a diff: "-" is how it was, "+" how it is, no sign what
 * stayed. Differences of one kind that follow each other share their heading.
 */
import type { Difference, GroupState } from '../../isolation/difference/difference.ts'
import type { PciFunction } from '../../isolation/host.ts'
import { hanging, type Screen } from '../screen.ts'
import { type DeviceLayout, deviceLine } from './device-text.ts'
import { strengthLetters } from './strength-text.ts'

/** By address. */
export type Functions = ReadonlyMap<string, PciFunction>

/** What groups and lines on each side are printed from. */
export interface Sides {
  readonly before: Functions
  readonly after: Functions
  readonly layout: DeviceLayout
}

const TITLE: Readonly<Record<Difference['kind'], string>> = {
  regrouped: 'other groups',
  added: 'devices come',
  removed: 'devices go',
  changed: 'same groups, other guarantees',
}

export function differenceLines(
  differences: readonly Difference[],
  sides: Sides,
): readonly string[] {
  const { screen } = sides.layout
  let above = ''
  return differences.flatMap((difference, n) => {
    const heading = headingLines(difference, screen)
    const key = heading.join('\n')
    const body = bodyLines(difference, sides)
    if (key === above) return isLong(difference) ? ['', ...body] : body
    above = key
    return [...(n === 0 ? [] : ['']), ...heading, ...body]
  })
}

/** Groups that fall apart or together want room around them. */
function isLong({ before, after }: Difference): boolean {
  return merged(before).length > 1 || merged(after).length > 1
}

function headingLines(difference: Difference, screen: Screen): readonly string[] {
  const { strength, viability } = difference
  const lines = strength.flatMap(({ bit, before, after, evidence }) =>
    hanging(`  ${bit}: `, `${before} becomes ${after}: ${evidence}`, screen.width),
  )
  const use = viability === null ? [] : [`  use: ${viability.before} becomes ${viability.after}`]
  return [screen.paint('bold', title(difference)), ...lines, ...use]
}

function title({ kind, before, after }: Difference): string {
  if (kind !== 'regrouped') return TITLE[kind]
  if (after.every(({ id }) => id === null)) return 'no group any more'
  if (before.every(({ id }) => id === null)) return 'groups where there were none'
  return TITLE[kind]
}

/** Without a group every function is alone: those are shown as one. */
function merged(states: readonly GroupState[]): readonly GroupState[] {
  const [first] = states
  if (first === undefined || states.some(({ id }) => id !== null)) return states
  return [{ ...first, devices: states.flatMap(({ devices }) => devices) }]
}

function bodyLines({ before, after }: Difference, sides: Sides): readonly string[] {
  const { layout } = sides
  const [old, fresh] = [merged(before), merged(after)]
  const [one, other] = [old[0], fresh[0]]
  if (one !== undefined && other !== undefined && old.length === 1 && fresh.length === 1) {
    const heads = headLines(one, other, layout)
    return [...heads, ...memberLines(one, other, sides)]
  }
  return [
    ...old.flatMap((state) => wholeLines('-', state, sides.before, layout)),
    ...fresh.flatMap((state) => wholeLines('+', state, sides.after, layout)),
  ]
}

type Sign = '-' | '+' | ' '

function headLines(
  before: GroupState,
  after: GroupState,
  { screen }: DeviceLayout,
): readonly string[] {
  const [old, fresh] = [headText(before, screen), headText(after, screen)]
  if (old === fresh) return [signed(' ', old, screen)]
  return [signed('-', old, screen), signed('+', fresh, screen)]
}

/** Devices of one group on both sides; what stayed is printed once. */
function memberLines(
  before: GroupState,
  after: GroupState,
  { before: old, after: fresh, layout }: Sides,
): readonly string[] {
  const went = before.devices.map((address) => memberText(address, old, layout))
  const came = after.devices.map((address) => memberText(address, fresh, layout))
  const stayed = new Set(went)
  return [
    ...went.filter((text) => !came.includes(text)).map((text) => signed('-', text, layout.screen)),
    ...came.map((text) => signed(stayed.has(text) ? ' ' : '+', text, layout.screen)),
  ]
}

function wholeLines(
  sign: Sign,
  state: GroupState,
  functions: Functions,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  return [
    signed(sign, headText(state, screen), screen),
    ...state.devices.map((address) => signed(sign, memberText(address, functions, layout), screen)),
  ]
}

function headText(state: GroupState, screen: Screen): string {
  const name = state.id === null ? 'no group' : `group ${state.id}`
  const verdict = state.viability === null ? '' : `  ${state.viability.verdict}`
  return `${name.padEnd('group 9999'.length)}  ${strengthLetters(state.strength, screen)}${verdict}`
}

/** Behind a sign and a blank. */
function memberText(address: string, functions: Functions, layout: DeviceLayout): string {
  const fn = functions.get(address)
  // The indent stands for the sign as well, for which the line must leave room.
  return fn === undefined ? `  ${address}` : deviceLine(fn, layout, '    ').slice(2)
}

function signed(sign: Sign, text: string, screen: Screen): string {
  const shown = sign === ' ' ? ' ' : screen.paint(sign === '-' ? 'red' : 'green', sign)
  return `${shown} ${text}`
}
