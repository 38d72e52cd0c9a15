/** `show TARGET`: everything about one group, or about one device and the group it is in. */
import { type AssessedGroup, type Assessment, assess } from '../../isolation/assess/assess.ts'
import { rulesFor } from '../../isolation/groups/rules.ts'
import type { DeviceDetails, Host, HostSnapshot, PciFunction } from '../../isolation/host.ts'
import { buildTopology } from '../../isolation/topology/topology.ts'
import type { Invocation } from '../invocation.ts'
import { type DetailsJson, deviceDetailsJson, groupDetailsJson } from '../json/details-json.ts'
import { printJson } from '../print-json.ts'
import { type Screen, hanging } from '../screen.ts'
import { type Target, resolveTarget } from '../target.ts'
import { detailsLines } from '../text/details-text.ts'
import { deviceLayout } from '../text/device-text.ts'
import { memberLines } from '../text/group-text.ts'
import { strengthLines } from '../text/strength-text.ts'
import { stateText, viabilityLines } from '../text/viability-text.ts'

export async function run(invocation: Invocation, args: readonly string[]): Promise<void> {
  const host = await invocation.open(invocation.source)
  const snapshot = host.snapshot()
  const target = resolveTarget(args[0] ?? '', host, snapshot)
  const assessment = assess(
    snapshot,
    buildTopology(snapshot),
    rulesFor(snapshot, invocation.kernel),
  )
  const group = groupOf(target, assessment)
  const devices = devicesOf(target, group, host)
  if (invocation.json) {
    const json: DetailsJson = {
      host: snapshot.source,
      target: targetName(target),
      group: group === null ? null : groupDetailsJson(group),
      devices: devices.map(({ fn, details }) => deviceDetailsJson(fn, details)),
    }
    printJson(invocation.out, 'Details', json)
    return
  }
  const { out } = invocation
  const blocks = devices.map(({ fn, details }) => detailsLines(fn, details, out))
  const groupBlocks =
    group === null
      ? [ungroupedLines(target, assessment, out)]
      : groupBlocksOf(group, snapshot, invocation)
  // The thing that was asked for comes first.
  const ordered =
    target.kind === 'group' ? [...groupBlocks, ...blocks] : [...blocks, ...groupBlocks]
  out.print(ordered.flatMap((block, index) => (index === 0 ? block : ['', ...block])))
}

function targetName(target: Target): string {
  if (target.kind === 'group') return `group:${target.id}`
  return target.kind === 'device' ? target.fn.address : target.device.name
}

function groupOf(target: Target, { groups }: Assessment): AssessedGroup | null {
  const id =
    target.kind === 'group'
      ? target.id
      : target.kind === 'other'
        ? target.device.group
        : target.fn.group.known
          ? target.fn.group.value
          : null
  return groups.find((group) => group.id === id) ?? null
}

interface DetailedDevice {
  readonly fn: PciFunction
  readonly details: DeviceDetails
}

function devicesOf(
  target: Target,
  group: AssessedGroup | null,
  host: Host,
): readonly DetailedDevice[] {
  const functions =
    target.kind === 'device'
      ? [target.fn]
      : target.kind === 'group'
        ? (group?.members ?? []).map(({ fn }) => fn)
        : []
  const details = new Map(
    host.details(functions.map((fn) => fn.address)).map((it) => [it.address, it]),
  )
  return functions.flatMap((fn) => {
    const found = details.get(fn.address)
    return found === undefined ? [] : [{ fn, details: found }]
  })
}

/** The group in parts: members, strength, who has it, regions. */
function groupBlocksOf(
  group: AssessedGroup,
  snapshot: HostSnapshot,
  { out, numeric }: Invocation,
): readonly (readonly string[])[] {
  const layout = deviceLayout(out, numeric, snapshot.functions)
  const { type, name } = group.group
  const named = name.known && name.value !== null ? ` "${name.value}"` : ''
  const title = `group ${group.id}${named}  `
  const domain = type.known ? `default domain ${type.value}` : `default domain unknown: ${type.why}`
  return [
    [
      `${out.paint('bold', title)}${stateText(group, out, title.length)}`,
      ...memberLines(group, layout),
    ],
    [out.paint('bold', 'strength'), ...strengthLines(group.strength, out)],
    [out.paint('bold', 'viability'), ...viabilityLines(group.viability, out)],
    [
      out.paint('bold', 'address space'),
      ...hanging('  ', domain, out.width),
      ...regionLines(group, out),
    ],
  ]
}

function regionLines({ group }: AssessedGroup, screen: Screen): readonly string[] {
  const { reserved } = group
  if (!reserved.known)
    return hanging('  ', `reserved regions unknown: ${reserved.why}`, screen.width)
  if (reserved.value.length === 0) return ['  no reserved regions']
  return reserved.value.map(({ start, end, kind }) => `  ${start}-${end}  ${kind}`)
}

function ungroupedLines(
  target: Target,
  { ungrouped }: Assessment,
  screen: Screen,
): readonly string[] {
  const name = targetName(target)
  const entry = ungrouped.find(({ node }) => node.address === name)
  return [
    ...hanging('no group: ', entry?.reason ?? 'not known', screen.width),
    ...(entry === undefined
      ? []
      : ['', screen.paint('bold', 'strength'), ...strengthLines(entry.strength, screen)]),
  ]
}
