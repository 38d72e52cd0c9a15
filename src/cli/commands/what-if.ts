/**
 * `what-if`: the groups, their strength and viability before and after changes of the machine, as the
 * difference. The changes are made on the machine's twin in the model; the machine itself is not touched.
 */
import { assess } from '../../isolation/assess/assess.ts'
import { assessmentDifference, type Difference } from '../../isolation/difference/difference.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import { parseChanges } from '../change-words.ts'
import type { Invocation } from '../invocation.ts'
import { type AssessedSide, whatIfJson } from '../json/what-if-json.ts'
import { printJson } from '../print-json.ts'
import { hanging, type Screen } from '../screen.ts'
import { counted } from '../text/count-text.ts'
import { deviceLayout } from '../text/device-text.ts'
import { differenceLines, type Functions } from '../text/difference-text.ts'
import { strengthLegend } from '../text/strength-text.ts'

export async function run(invocation: Invocation, args: readonly string[]): Promise<void> {
  const { whatIf, kindsToAdd } = await import('../../open/what-if.ts')
  const { source, kernel, out, err, numeric } = invocation
  const host = await invocation.open(source)
  const changes = parseChanges(args, host, kindsToAdd())
  const answer = await whatIf(source, host, changes, kernel)
  const before = side(answer.before.snapshot())
  const after = side(answer.after.snapshot())
  const differences = assessmentDifference(before.assessment, after.assessment, answer.addresses)
  const { notes, assumed, deviations, added } = answer
  if (invocation.json) {
    const name = host.snapshot().source
    const renamed = [...answer.addresses]
      .filter(([old, now]) => old !== now)
      .map(([old, now]) => ({ before: old, after: now }))
    const told = { host: name, changes, before, after, differences, added, renamed }
    printJson(out, 'WhatIf', whatIfJson({ ...told, notes, assumed, deviations }))
    return
  }
  const shown = [...before.functions.values(), ...after.functions.values()]
  const layout = deviceLayout(out, numeric, shown)
  out.print(
    differenceLines(differences, { before: before.functions, after: after.functions, layout }),
  )
  err.print([
    ...notes.flatMap((note) => hanging('note: ', note, err.width)),
    summary(differences, before, after),
    ...deviationLines(deviations, err),
    ...assumptionLines(assumed, err),
    ...(differences.length === 0 ? [] : strengthLegend()),
  ])
}

interface Side extends AssessedSide {
  readonly functions: Functions
}

function side(snapshot: HostSnapshot): Side {
  return {
    snapshot,
    assessment: assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null)),
    functions: new Map(snapshot.functions.map((fn) => [fn.address, fn])),
  }
}

function summary(differences: readonly Difference[], before: Side, after: Side): string {
  const count = after.assessment.groups.length
  const groups = `${counted(before.assessment.groups.length, 'group')} before, ${String(count)} after`
  if (differences.length === 0) return `${groups}: no group would be different`
  return `${groups}: ${counted(differences.length, 'difference')}`
}

const DEVIATIONS_MAX = 4

function deviationLines(deviations: readonly string[], screen: Screen): readonly string[] {
  const count = deviations.length
  if (count === 0) return []
  const rest = count - DEVIATIONS_MAX
  const more = rest > 0 ? ` and ${String(rest)} more` : ''
  const devices = deviations.slice(0, DEVIATIONS_MAX).join(' ')
  const text = `the twin groups ${counted(count, 'device')} differently from the host: ${devices}${more}`
  return hanging('note: ', text, screen.width)
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
