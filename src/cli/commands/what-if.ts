/**
 * `what-if`: the groups, their strength and viability before and after changes of the machine, as the
 * difference. The changes are made on the machine's twin in the model; the machine itself is not touched.
 */
import { assess } from '../../isolation/assess/assess.ts'
import {
  assessmentDifference,
  type Difference,
  type GroupState,
} from '../../isolation/difference/difference.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { HostSnapshot, PciFunction } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import { parseChanges } from '../change-words.ts'
import type { Invocation } from '../invocation.ts'
import { type AssessedSide, whatIfJson } from '../json/what-if-json.ts'
import { printJson } from '../print-json.ts'
import { hanging, type Screen } from '../screen.ts'
import { counted } from '../text/count-text.ts'
import { type DeviceLayout, deviceLayout, deviceLine } from '../text/device-text.ts'
import { strengthLetters } from '../text/strength-text.ts'

export async function run(invocation: Invocation, args: readonly string[]): Promise<void> {
  const { whatIf } = await import('../../open/what-if.ts')
  const { source, kernel, out, err } = invocation
  const host = await invocation.open(source)
  const changes = parseChanges(args, host)
  const answer = await whatIf(source, host, changes, kernel)
  const before = side(answer.before.snapshot())
  const after = side(answer.after.snapshot())
  const differences = assessmentDifference(before.assessment, after.assessment, answer.addresses)
  const { notes, assumed } = answer
  if (invocation.json) {
    const name = host.snapshot().source
    const json = whatIfJson({ host: name, changes, before, after, differences, notes, assumed })
    printJson(out, 'WhatIf', json)
    return
  }
  out.print(differences.flatMap((one, n) => differenceLines(one, n, before, after, invocation)))
  err.print([
    ...notes.flatMap((note) => hanging('note: ', note, err.width)),
    summary(differences, before, after),
    ...assumptionLines(assumed, err),
  ])
}

interface Side extends AssessedSide {
  readonly functions: ReadonlyMap<string, PciFunction>
}

function side(snapshot: HostSnapshot): Side {
  return {
    snapshot,
    assessment: assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null)),
    functions: new Map(snapshot.functions.map((fn) => [fn.address, fn])),
  }
}

const TITLE: Readonly<Record<Difference['kind'], string>> = {
  regrouped: 'other groups',
  added: 'devices come',
  removed: 'devices go',
  changed: 'same group, other guarantees',
}

function differenceLines(
  difference: Difference,
  position: number,
  before: Side,
  after: Side,
  { out, numeric }: Invocation,
): readonly string[] {
  const layout = deviceLayout(out, numeric, [
    ...before.functions.values(),
    ...after.functions.values(),
  ])
  const title = out.paint('bold', TITLE[difference.kind])
  return [
    ...(position === 0 ? [] : ['']),
    title,
    ...difference.before.flatMap((state) => stateLines('-', state, before, layout)),
    ...difference.after.flatMap((state) => stateLines('+', state, after, layout)),
    ...changeLines(difference, out),
  ]
}

function stateLines(
  mark: '-' | '+',
  state: GroupState,
  { functions }: Side,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const sign = screen.paint(mark === '-' ? 'red' : 'green', mark)
  const name = state.id === null ? 'no group' : `group ${state.id}`
  const strength = strengthLetters(state.strength, screen)
  const verdict = state.viability === null ? '' : `  ${state.viability.verdict}`
  return [
    `${sign} ${name.padEnd('group 9999'.length)}  ${strength}${verdict}`,
    ...state.devices.map((address) => {
      const fn = functions.get(address)
      return fn === undefined ? `${sign}   ${address}` : `${sign} ${deviceLine(fn, layout, '  ')}`
    }),
  ]
}

function changeLines({ strength, viability }: Difference, screen: Screen): readonly string[] {
  const lines = strength.flatMap(({ bit, before, after, evidence }) =>
    hanging(`  ${bit}: `, `${before} becomes ${after}: ${evidence}`, screen.width),
  )
  if (viability === null) return lines
  return [...lines, `  viability: ${viability.before} becomes ${viability.after}`]
}

function summary(differences: readonly Difference[], before: Side, after: Side): string {
  const count = after.assessment.groups.length
  const groups = `${counted(before.assessment.groups.length, 'group')} before, ${String(count)} after`
  if (differences.length === 0) return `${groups}: nothing would be different`
  return `${groups}: ${counted(differences.length, 'difference')}`
}

const ASSUMED_MAX = 5

function assumptionLines(assumed: readonly string[], screen: Screen): readonly string[] {
  if (assumed.length === 0) return []
  const shown = assumed.slice(0, ASSUMED_MAX)
  const rest = assumed.length - shown.length
  return [
    `not known of the machine, and assumed on both sides:`,
    ...shown.flatMap((text) => hanging('  ', text, screen.width)),
    ...(rest === 0 ? [] : [`  and ${String(rest)} more, see --json`]),
  ]
}
