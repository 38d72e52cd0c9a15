/**
 * From JSON to a record of a claim: each field is looked at before it is believed, since it decides what is
 * written to a kernel. What is not as it must be makes the whole record none.
 */
import type { DeviceIdentity } from '../isolation/live-host.ts'
import type { ClaimOwner } from '../isolation/plan/request.ts'
import type { Action } from '../isolation/transaction/action.ts'
import type { DeviceState, GroupState, NodeState } from '../isolation/transaction/state.ts'
import { parseAddress } from '../pci/address.ts'
import type {
  ClaimedGroup,
  ClaimRecord,
  ClaimState,
  StepFailure,
  WedgedDevice,
} from './claim-record.ts'

class Malformed extends Error {}

/** Null when it is no record of a claim. */
export function parseClaim(value: unknown): ClaimRecord | null {
  return orNull(() => claim(value))
}

/** Null when it is no action on one device. */
export function parseAction(value: unknown): Action | null {
  return orNull(() => action(value))
}

function orNull<T>(parse: () => T): T | null {
  try {
    return parse()
  } catch (cause) {
    if (cause instanceof Malformed) return null
    throw cause
  }
}

const STATES: readonly ClaimState[] = ['claiming', 'claimed', 'releasing', 'incomplete']

function claim(value: unknown): ClaimRecord {
  const field = object(value)
  return {
    id: text(field('id')),
    sequence: count(field('sequence')),
    state: oneOf(field('state'), STATES),
    bootId: text(field('bootId')),
    madeAt: count(field('madeAt')),
    madeBy: count(field('madeBy')),
    driver: text(field('driver')),
    owner: nullable(field('owner'), owner),
    reason: nullable(field('reason'), text),
    allowed: list(field('allowed'), text),
    confirmSeconds: nullable(field('confirmSeconds'), count),
    confirmBy: nullable(field('confirmBy'), count),
    groups: list(field('groups'), group),
    wedged: list(field('wedged'), wedged),
    failure: nullable(field('failure'), failure),
    left: list(field('left'), text),
  }
}

function owner(value: unknown): ClaimOwner {
  const field = object(value)
  return { uid: count(field('uid')), gid: count(field('gid')), name: text(field('name')) }
}

function group(value: unknown): ClaimedGroup {
  const field = object(value)
  return {
    before: groupState(field('before')),
    target: groupState(field('target')),
    members: list(field('members'), identity),
    newcomers: list(field('newcomers'), address),
    fingerprint: text(field('fingerprint')),
  }
}

function groupState(value: unknown): GroupState {
  const field = object(value)
  return {
    group: nullable(field('group'), text),
    devices: list(field('devices'), device),
    node: nullable(field('node'), node),
  }
}

function device(value: unknown): DeviceState {
  const field = object(value)
  return {
    address: address(field('address')),
    present: flag(field('present')),
    driver: nullable(field('driver'), text),
    override: nullable(field('override'), text),
    autoprobe: nullable(field('autoprobe'), flag),
  }
}

function node(value: unknown): NodeState {
  const field = object(value)
  return { uid: count(field('uid')), gid: count(field('gid')), mode: count(field('mode')) }
}

function identity(value: unknown): DeviceIdentity {
  const field = object(value)
  return { address: address(field('address')), ids: text(field('ids')), path: text(field('path')) }
}

function wedged(value: unknown): WedgedDevice {
  const field = object(value)
  return {
    address: address(field('address')),
    step: text(field('step')),
    path: text(field('path')),
    evidence: list(field('evidence'), text),
  }
}

function failure(value: unknown): StepFailure {
  const field = object(value)
  return {
    step: text(field('step')),
    code: text(field('code')),
    evidence: list(field('evidence'), text),
  }
}

function action(value: unknown): Action {
  const field = object(value)
  const kind = text(field('kind'))
  switch (kind) {
    case 'set-override':
      return { kind, address: address(field('address')), driver: nullable(field('driver'), text) }
    case 'unbind':
    case 'probe':
      return { kind, address: address(field('address')), driver: text(field('driver')) }
    case 'offer':
      return { kind, address: address(field('address')) }
    case 'set-autoprobe':
      return { kind, address: address(field('address')), on: flag(field('on')) }
    case 'set-node':
      return { kind, group: text(field('group')), ...node(value) }
    default:
      throw new Malformed()
  }
}

function object(value: unknown): (name: string) => unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed()
  const fields = new Map<string, unknown>(Object.entries(value))
  return (name) => fields.get(name)
}

function list<T>(value: unknown, item: (value: unknown) => T): readonly T[] {
  if (!Array.isArray(value)) throw new Malformed()
  return value.map((one: unknown) => item(one))
}

function nullable<T>(value: unknown, item: (value: unknown) => T): T | null {
  return value === null ? null : item(value)
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Malformed()
  return value
}

function address(value: unknown): string {
  const found = text(value)
  if (parseAddress(found) === null) throw new Malformed()
  return found
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Malformed()
  return value
}

function flag(value: unknown): boolean {
  if (typeof value !== 'boolean') throw new Malformed()
  return value
}

function oneOf<T extends string>(value: unknown, all: readonly T[]): T {
  const found = all.find((one) => one === value)
  if (found === undefined) throw new Malformed()
  return found
}
