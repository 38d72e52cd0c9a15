/** `ls`: a row for every group, its devices below it, and the devices that have no group. */
import { type Assessment, type UngroupedFunction, assess } from '../../isolation/assess/assess.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { HostSnapshot } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import type { Invocation } from '../invocation.ts'
import { groupListJson } from '../json/group-json.ts'
import { printJson } from '../print-json.ts'
import { hanging } from '../screen.ts'
import { type DeviceLayout, deviceLayout, deviceLine } from '../text/device-text.ts'
import { groupLines, groupListTitle } from '../text/group-text.ts'
import { strengthLegend } from '../text/strength-text.ts'

export async function run(invocation: Invocation): Promise<void> {
  const host = await invocation.open(invocation.source)
  listGroups(invocation, host.snapshot())
}

/** Prints the groups of a host in the form asked for. */
export function listGroups(invocation: Invocation, snapshot: HostSnapshot): void {
  const assessment = assess(
    snapshot,
    buildTopology(snapshot),
    rulesFor(snapshot, invocation.kernel),
  )
  if (invocation.json) {
    printJson(invocation.out, 'GroupList', groupListJson(snapshot, assessment))
  } else {
    printGroups(invocation, snapshot, assessment)
  }
}

/** Prints the list on stdout; the key to it, or what to do without groups, on stderr. */
function printGroups(
  { out, err, numeric }: Invocation,
  snapshot: HostSnapshot,
  { groups, ungrouped }: Assessment,
): void {
  const layout = deviceLayout(out, numeric, snapshot.functions)
  const title = groups.length === 0 ? [] : [groupListTitle(out)]
  out.print([
    ...title,
    ...groups.flatMap((group) => groupLines(group, layout)),
    ...ungroupedLines(ungrouped, layout),
  ])
  err.print(groups.length > 0 ? strengthLegend() : noGroupsLines(snapshot))
}

/** Gathered by the reason, in order of first appearance. */
function ungroupedLines(
  ungrouped: readonly UngroupedFunction[],
  layout: DeviceLayout,
): readonly string[] {
  const { screen } = layout
  const byReason = new Map<string, string[]>()
  for (const { node, reason } of ungrouped) {
    const line = deviceLine(node.fn, layout, '  ')
    const lines = byReason.get(reason)
    if (lines === undefined) byReason.set(reason, [line])
    else lines.push(line)
  }
  return [...byReason].flatMap(([reason, lines]) => [
    ...hanging('no group: ', reason, screen.width).map((line) => screen.paint('bold', line)),
    ...lines,
  ])
}

function noGroupsLines({ groups, source }: HostSnapshot): readonly string[] {
  if (!groups.known) {
    return [
      `the groups of ${source} are unknown: ${groups.why}`,
      '  next: `isogroup predict` derives them from the topology',
    ]
  }
  return [
    `${source} has no isolation groups: nothing separates its devices`,
    '  next: `isogroup doctor` says why; `isogroup predict` shows the groups it could have',
  ]
}
