/** `tree`: the PCI topology with the borders of the groups. */
import { predictGroups } from '../../isolation/groups/predict.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import { type Topology, buildTopology } from '../../isolation/topology/topology.ts'
import type { Invocation } from '../invocation.ts'
import { type TreeJson, rootBusesJson } from '../json/tree-json.ts'
import { printJson } from '../print-json.ts'
import { deviceLayout } from '../text/device-text.ts'
import { treeLines } from '../text/tree-text.ts'

export async function run(invocation: Invocation): Promise<void> {
  const host = await invocation.open(invocation.source)
  const snapshot = host.snapshot()
  const topology = buildTopology(snapshot)
  const own = hostGroups(snapshot)
  const groupOf = own ?? predictedGroups(topology, snapshot, invocation)
  if (invocation.json) {
    const json: TreeJson = {
      host: snapshot.source,
      groups: own === null ? 'predicted' : 'host',
      buses: rootBusesJson(topology, groupOf),
    }
    printJson(invocation.out, 'Tree', json)
    return
  }
  const layout = deviceLayout(invocation.out, invocation.numeric, snapshot.functions)
  invocation.out.print(treeLines(topology, groupOf, layout))
  if (own === null) {
    const why = snapshot.groups.known ? 'the host has no groups' : snapshot.groups.why
    invocation.err.print([`groups with ~ are predicted: ${why}`])
  }
}

/** Group id by address; null when the host has no groups or they are unknown. */
function hostGroups(snapshot: HostSnapshot): ReadonlyMap<string, string> | null {
  if (!snapshot.groups.known || snapshot.groups.value.length === 0) return null
  const groups = new Map<string, string>()
  for (const fn of snapshot.functions) {
    if (fn.group.known && fn.group.value !== null) groups.set(fn.address, fn.group.value)
  }
  return groups
}

function predictedGroups(
  topology: Topology,
  snapshot: HostSnapshot,
  invocation: Invocation,
): ReadonlyMap<string, string> {
  const { groups } = predictGroups(topology, snapshot, rulesFor(snapshot, invocation.kernel))
  const ids = new Map<string, string>()
  groups.forEach(({ devices }, index) => {
    for (const device of devices) ids.set(device, `~${String(index)}`)
  })
  return ids
}
