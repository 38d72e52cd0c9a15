/**
 * `explain A [B]`: why a device shares its group with its mates, or why two devices are together or
 * apart, and what would separate them.
 */
import { IsogroupError } from '../../base/errors.ts'
import { type Explained, explainDevice, explainPair } from '../../isolation/explain/explain.ts'
import type { Explanation } from '../../isolation/explain/explanation.ts'
import { predictGroups } from '../../isolation/groups/predict.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { Host } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import type { Invocation } from '../invocation.ts'
import { printJson } from '../print-json.ts'
import { resolveTarget } from '../target.ts'
import { deviceLayout } from '../text/device-text.ts'
import { explanationLines } from '../text/explanation-text.ts'

export async function run(invocation: Invocation, args: readonly string[]): Promise<void> {
  const host = await invocation.open(invocation.source)
  const explanation = explain(host, args, invocation)
  const { snapshot } = explanation
  if (invocation.json) {
    const { kernel } = explanation.prediction
    const json = { host: snapshot.source, kernel, ...explanation.result }
    printJson(invocation.out, 'Explanation', json)
    return
  }
  const layout = deviceLayout(invocation.out, invocation.numeric, snapshot.functions)
  const functions = new Map(snapshot.functions.map((fn) => [fn.address, fn]))
  invocation.out.print(explanationLines(explanation.result, functions, layout))
}

function explain(
  host: Host,
  args: readonly string[],
  invocation: Invocation,
): Explained & { readonly result: Explanation } {
  const snapshot = host.snapshot()
  const [a = '', b] = args
  const first = subject(a, host)
  const second = b === undefined ? null : subject(b, host)
  const topology = buildTopology(snapshot)
  const rules = rulesFor(snapshot, invocation.kernel)
  const prediction = predictGroups(topology, snapshot, rules)
  const on = { snapshot, topology, rules, prediction }
  const isPair = second !== null && second !== first
  return { ...on, result: isPair ? explainPair(on, first, second) : explainDevice(on, first) }
}

/** The address of the device a target names; of a group, its first PCI function. */
function subject(text: string, host: Host): string {
  const snapshot = host.snapshot()
  const target = resolveTarget(text, host, snapshot)
  if (target.kind === 'device') return target.fn.address
  if (target.kind === 'group') {
    const fn = snapshot.functions.find((it) => it.group.known && it.group.value === target.id)
    if (fn !== undefined) return fn.address
  }
  const name = target.kind === 'group' ? `group ${target.id}` : target.device.name
  throw new IsogroupError(
    'refused',
    `${name} holds no PCI function: only for those is the reason of a group known`,
    `isogroup show ${text}`,
  )
}
