/**
 * The way from where a group is to where it should be, from facts alone.
 *
 *     probing of new VFs off -> overrides -> unbind -> probe -> overrides as wanted -> probing on -> node
 *
 * One function for every direction: a claim goes to its target, a rollback, a release and a recovery go to
 * what was recorded before. Steps that are not needed are left out, so the way from a target to itself is
 * empty, and a way that was interrupted anywhere can be taken up from there by asking again.
 *
 * Every device that moves is aimed first: its override names the driver it goes to, before it leaves the
 * one it is on. From then on no other driver can take it, whoever probes meanwhile. On the way back the aim
 * is the driver it came from, and the override as it was recorded is written last.
 */
import type { Action } from './action.ts'
import type { DeviceState, GroupState } from './state.ts'

interface Move {
  readonly now: DeviceState
  readonly wanted: DeviceState
}

/** Devices that one side lacks, or that are not on the host, are left out. */
export function stepsTo(target: GroupState, now: GroupState): readonly Action[] {
  const moves = movesTo(target, now)
  return [
    ...moves.flatMap((move) => autoprobe(move, false)),
    ...moves.flatMap(aim),
    ...moves.flatMap(unbind),
    ...moves.flatMap(probe),
    ...moves.flatMap(settle),
    ...moves.flatMap((move) => autoprobe(move, true)),
    ...giveNode(target, now),
  ]
}

function movesTo(target: GroupState, now: GroupState): readonly Move[] {
  const states = new Map(now.devices.map((device) => [device.address, device]))
  return target.devices.flatMap((wanted) => {
    const found = states.get(wanted.address)
    return wanted.present && found?.present === true ? [{ now: found, wanted }] : []
  })
}

function autoprobe({ now, wanted }: Move, on: boolean): readonly Action[] {
  if (wanted.autoprobe !== on || now.autoprobe === null || now.autoprobe === on) return []
  return [{ kind: 'set-autoprobe', address: now.address, on }]
}

/** What the override is while the device moves. */
function aimed({ now, wanted }: Move): string | null {
  return wanted.driver !== null && wanted.driver !== now.driver ? wanted.driver : now.override
}

function aim(move: Move): readonly Action[] {
  const driver = aimed(move)
  if (driver === move.now.override) return []
  return [{ kind: 'set-override', address: move.now.address, driver }]
}

function unbind({ now, wanted }: Move): readonly Action[] {
  if (now.driver === null || now.driver === wanted.driver) return []
  return [{ kind: 'unbind', address: now.address, driver: now.driver }]
}

function probe({ now, wanted }: Move): readonly Action[] {
  if (wanted.driver === null || now.driver === wanted.driver) return []
  return [{ kind: 'probe', address: now.address, driver: wanted.driver }]
}

function settle(move: Move): readonly Action[] {
  const { override } = move.wanted
  if (aimed(move) === override) return []
  return [{ kind: 'set-override', address: move.now.address, driver: override }]
}

/** The kernel makes a new node for root alone, and takes it away with the last VFIO driver. */
const NEW_NODE = { uid: 0, gid: 0, mode: 0o600 }

function giveNode(target: GroupState, now: GroupState): readonly Action[] {
  // Whose devices are gone has no group: by now its number may be another group's.
  const { group } = now
  if (target.node === null || group === null) return []
  const { uid, gid, mode } = target.node
  const is = now.node ?? NEW_NODE
  if (is.uid === uid && is.gid === gid && is.mode === mode) return []
  return [{ kind: 'set-node', group, uid, gid, mode }]
}
