/** What is not yet as it should be, in words: the check after the last step, whatever the steps said. */
import type { DeviceState, GroupState, NodeState } from './state.ts'

/**
 * Devices that are gone cannot be anything; they are named by {@link missing}.
 * @returns one line for each difference; none = the target is reached
 */
export function unmet(target: GroupState, now: GroupState): readonly string[] {
  const states = new Map(now.devices.map((device) => [device.address, device]))
  const lines = target.devices.flatMap((wanted) => {
    const found = states.get(wanted.address)
    return wanted.present && found?.present === true ? deviceLines(wanted, found) : []
  })
  return [...lines, ...nodeLines(target.node, now)]
}

/** Addresses that the target has and the host does not have any more. */
export function missing(target: GroupState, now: GroupState): readonly string[] {
  const there = new Set(now.devices.filter(({ present }) => present).map(({ address }) => address))
  return target.devices
    .filter(({ address, present }) => present && !there.has(address))
    .map(({ address }) => address)
}

function deviceLines(wanted: DeviceState, now: DeviceState): readonly string[] {
  const lines: string[] = []
  if (now.driver !== wanted.driver) {
    lines.push(`${now.address} is on ${nameOf(now.driver)}, not on ${nameOf(wanted.driver)}`)
  }
  if (now.override !== wanted.override) {
    lines.push(
      `driver_override of ${now.address} is ${now.override ?? 'not set'}, not ${wanted.override ?? 'cleared'}`,
    )
  }
  if (wanted.autoprobe !== null && now.autoprobe !== null && now.autoprobe !== wanted.autoprobe) {
    lines.push(
      `driver probing of new virtual functions of ${now.address} is ${onOff(now.autoprobe)}, not ${onOff(wanted.autoprobe)}`,
    )
  }
  return lines
}

/** The same of a group's node alone. @param wanted null: it may be as it likes */
export function nodeLines(
  wanted: NodeState | null,
  now: Pick<GroupState, 'group' | 'node'>,
): readonly string[] {
  if (wanted === null) return []
  if (now.node === null) return [`group ${now.group ?? '?'} has no node in /dev/vfio`]
  const { uid, gid, mode } = now.node
  if (uid === wanted.uid && gid === wanted.gid && mode === wanted.mode) return []
  return [
    `/dev/vfio/${now.group ?? '?'} is of ${String(uid)}:${String(gid)} with mode ${mode.toString(8)}, not of ${String(wanted.uid)}:${String(wanted.gid)} with mode ${wanted.mode.toString(8)}`,
  ]
}

function nameOf(driver: string | null): string {
  return driver ?? 'no driver'
}

function onOff(on: boolean): string {
  return on ? 'on' : 'off'
}
