/**
 * `predict`: the groups the kernel would form from the topology alone, each with its reasons, what
 * is unknown, and how the groups of the host differ.
 */
import { comparePrediction } from '../../isolation/groups/compare.ts'
import { predictGroups } from '../../isolation/groups/predict.ts'
import type {
  GroupDifference,
  PredictedGroup,
  Prediction,
} from '../../isolation/groups/prediction.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { HostSnapshot, PciFunction } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import type { Invocation } from '../invocation.ts'
import { predictionJson } from '../json/prediction-json.ts'
import { printJson } from '../print-json.ts'
import { type Screen, hanging } from '../screen.ts'
import { counted } from '../text/count-text.ts'
import { type DeviceLayout, deviceLayout, deviceLine } from '../text/device-text.ts'
import { findingLines } from '../text/finding-text.ts'
import { byReason, reasonLines } from '../text/join-text.ts'

export async function run(invocation: Invocation): Promise<void> {
  const host = await invocation.open(invocation.source)
  const snapshot = host.snapshot()
  const topology = buildTopology(snapshot)
  const rules = rulesFor(snapshot, invocation.kernel)
  const prediction = predictGroups(topology, snapshot, rules)
  const differences = comparePrediction(prediction, snapshot, rules)
  const compared = snapshot.groups.known && snapshot.groups.value.length > 0
  if (invocation.json) {
    const json = predictionJson(snapshot.source, prediction, differences, compared)
    printJson(invocation.out, 'Prediction', json)
    return
  }
  const functions = new Map(snapshot.functions.map((fn) => [fn.address, fn]))
  const layout = deviceLayout(invocation.out, invocation.numeric, snapshot.functions)
  invocation.out.print([
    ...prediction.groups.flatMap((group) => groupLines(group, functions, layout)),
    ...ungroupedLines(prediction, functions, layout),
    ...differenceLines(differences, invocation.out),
    ...unknownLines(prediction, invocation.out),
    ...prediction.warnings.flatMap((warning) => ['', ...findingLines(warning, invocation.out)]),
  ])
  invocation.err.print(summary(prediction, differences, snapshot, rules.kernelKnown))
}

type Functions = ReadonlyMap<string, PciFunction>

function groupLines(
  group: PredictedGroup,
  functions: Functions,
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const count = group.devices.length
  const title = count === 1 ? 'alone' : `${String(count)} together`
  const actual = actualText(group.devices, functions)
  return [
    `${screen.paint('bold', title)}${actual === '' ? '' : screen.paint('dim', `  ${actual}`)}`,
    ...deviceLines(group.devices, functions, layout),
    ...byReason(group.because).flatMap((shared) => reasonLines(shared, screen, '    ')),
  ]
}

function deviceLines(
  devices: readonly string[],
  functions: Functions,
  layout: DeviceLayout,
): readonly string[] {
  return devices.map((address) => {
    const fn = functions.get(address)
    return fn === undefined ? `  ${address}` : deviceLine(fn, layout, '  ')
  })
}

/** "host: group 13"; several where the host keeps apart what the prediction joins. */
function actualText(devices: readonly string[], functions: Functions): string {
  const groups = new Set<string>()
  for (const device of devices) {
    const group = functions.get(device)?.group
    if (group?.known === true) groups.add(group.value ?? 'none')
  }
  if (groups.size === 0 || (groups.size === 1 && groups.has('none'))) return ''
  return `host: group ${[...groups].join(', ')}`
}

function ungroupedLines(
  prediction: Prediction,
  functions: Functions,
  layout: DeviceLayout,
): readonly string[] {
  return prediction.ungrouped.flatMap(({ device, why }) => [
    `${layout.screen.paint('bold', 'no group')}${layout.screen.paint('dim', `  ${why}`)}`,
    ...deviceLines([device], functions, layout),
  ])
}

function differenceLines(
  differences: readonly GroupDifference[],
  screen: Screen,
): readonly string[] {
  return differences.flatMap((difference) => {
    const { kind, devices, groups, explanation, undecided } = difference
    const title = screen.paint(undecided ? 'yellow' : 'red', `difference: ${DIFFERENCE[kind]}`)
    const ids = groups.length === 0 ? [] : [`host: group ${groups.join(', ')}`]
    return [
      '',
      title,
      ...ids.flatMap((line) => hanging('  ', line, screen.width)),
      ...hanging('  ', devices.join(' '), screen.width),
      ...hanging('  ', explanation, screen.width),
    ]
  })
}

const DIFFERENCE: Readonly<Record<GroupDifference['kind'], string>> = {
  joined: 'together on the host, predicted apart',
  split: 'apart on the host, predicted together',
  ungrouped: 'without a group on the host',
}

function unknownLines(prediction: Prediction, screen: Screen): readonly string[] {
  if (prediction.unknown.length === 0) return []
  const facts = prediction.unknown.flatMap(({ device, fact, why, effect }) => [
    ...hanging(`  ${device}  `, `${fact}: ${why}`, screen.width),
    ...hanging('                ', effect, screen.width),
  ])
  return ['', screen.paint('yellow', 'unknown, taken as "does not isolate"'), ...facts]
}

function summary(
  prediction: Prediction,
  differences: readonly GroupDifference[],
  snapshot: HostSnapshot,
  kernelKnown: boolean,
): readonly string[] {
  const rules = kernelKnown
    ? `the rules of kernel ${prediction.kernel}`
    : `the rules of kernel ${prediction.kernel} (the host does not tell its own: --kernel VERSION)`
  const first = `${counted(prediction.groups.length, 'group')} by ${rules}`
  return [first, comparison(differences, snapshot)]
}

function comparison(differences: readonly GroupDifference[], snapshot: HostSnapshot): string {
  if (!snapshot.groups.known) return `not compared: ${snapshot.groups.why}`
  const count = snapshot.groups.value.length
  if (count === 0) return 'not compared: the host has no groups; `isogroup doctor` says why'
  if (differences.length === 0) return `the ${String(count)} groups of the host are the same`
  return `the ${String(count)} groups of the host differ in ${counted(differences.length, 'place')}`
}
