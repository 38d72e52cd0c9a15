/**
 * Machine files: hosts that are kept with the project, facts only, with the groups that the kernel
 * really formed. `machines/*.json` are made by tools/import-machine.ts and read here.
 *
 *     { "format": "isogroup-machine", "version": 1, "name", "category", "kernel",
 *       "source": { "messageIds": [], "note" },
 *       "snapshot": { "kernelRelease", "commandLine", "hostedBuses", "functions": [...] },
 *       "expectedGroups": { "7": ["0000:00:1f.0", ...] }, "unlisted": [...] }
 *
 * Every fact is a value or {"?": "why it is unknown"}. A function's members, and what leaving one out
 * means: at, vendor, device, class ("060400"), className, name; rev ("00"), sub ("1028:08b0", null),
 * driver (null), up (the bridge above; null), pf (physical function; null), header (0), multi (false),
 * buses ("00-01-01"; null), pcie (type; null), acs ("5f/1d": capability/control, or "present"; null), sriov
 * ("total/active/offset/stride/device"; null), flr (false), caps and ext ("01 10 0d"; none), damage ([]).
 * Leaving out means the known value in brackets, never an unknown.
 */
import { IsogroupError } from '../base/errors.ts'
import { type Fact, known, unknown } from '../base/fact.ts'
import type { HostGroup, HostSnapshot, PciFunction, PciIds } from '../isolation/host.ts'
import { compareAddresses, parseAddress } from '../pci/address.ts'
import type {
  AcsCapability,
  BridgeBuses,
  ConfigFacts,
  SriovCapability,
} from '../pci/config-facts.ts'
import {
  count,
  entries,
  type Field,
  fact,
  hexNumber,
  items,
  matched,
  member,
  onlyMembers,
  reject,
  text,
  truth,
} from './json-fields.ts'

export interface MachineFile {
  readonly name: string
  /** What kind of machine it is, for a list: "AMD laptop". */
  readonly category: string
  /** The kernel that formed the groups, as the source tells it: "6.6.8", "5.16/5.17". */
  readonly kernel: string
  /** Mails that the facts are from; empty when they are from elsewhere. */
  readonly messageIds: readonly string[]
  /** What the source was, in words. */
  readonly note: string
  readonly snapshot: HostSnapshot
  /** Group id by address, as the kernel formed them; a function without one has no entry. */
  readonly expected: ReadonlyMap<string, string>
  /** Functions that were in the kernel's groups, but about which the source tells nothing more. */
  readonly unlisted: readonly string[]
}

export const MACHINE_FORMAT = 'isogroup-machine'
export const MACHINE_VERSION = 1

const NOT_HELD = 'the machine file does not hold it'

/**
 * @param json a parsed JSON document
 * @throws IsogroupError bad-machine (with the path of the bad member), newer-version
 */
export function parseMachine(json: unknown): MachineFile {
  const root: Field = { value: json, path: '' }
  checkFormat(root)
  const name = text(member(root, 'name'))
  const groups = expectedGroups(member(root, 'expectedGroups'))
  const expected = new Map<string, string>()
  for (const [id, members] of groups) for (const address of members) expected.set(address, id)
  return {
    name,
    category: text(member(root, 'category')),
    kernel: text(member(root, 'kernel')),
    messageIds: items(member(member(root, 'source'), 'messageIds')).map(text),
    note: text(member(member(root, 'source'), 'note')),
    snapshot: snapshot(member(root, 'snapshot'), name, groups, expected),
    expected,
    unlisted: items(member(root, 'unlisted')).map(address),
  }
}

function checkFormat(root: Field): void {
  const format = member(root, 'format')
  if (format.value !== MACHINE_FORMAT) reject(format, `"${MACHINE_FORMAT}"`)
  const version = count(member(root, 'version'), 1e6)
  if (version > MACHINE_VERSION) {
    throw new IsogroupError(
      'newer-version',
      `this machine file has version ${String(version)}; versions up to ${String(MACHINE_VERSION)} can be read`,
      'Use a newer isogroup.',
    )
  }
  onlyMembers(root, [
    ...['format', 'version', 'name', 'category', 'kernel', 'source', 'snapshot'],
    ...['expectedGroups', 'unlisted'],
  ])
}

function expectedGroups(field: Field): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, readonly string[]>()
  const seen = new Set<string>()
  for (const [id, list] of entries(field)) {
    if (!/^\d{1,6}$/.test(id)) reject(list, 'a group number as its name')
    const members = items(list).map((item) => {
      const at = address(item)
      if (seen.has(at)) reject(item, 'a function that is in no other group')
      seen.add(at)
      return at
    })
    groups.set(id, members)
  }
  return groups
}

function snapshot(
  field: Field,
  name: string,
  groups: ReadonlyMap<string, readonly string[]>,
  expected: ReadonlyMap<string, string>,
): HostSnapshot {
  onlyMembers(field, ['kernelRelease', 'commandLine', 'hostedBuses', 'functions'])
  const missing = unknown(NOT_HELD)
  const list = items(member(field, 'functions'))
  const functions = list.map((item) => pciFunction(item, expected))
  const listed = new Set(functions.map((fn) => fn.address))
  functions.forEach((fn, i) => {
    if (fn.parent !== null && !listed.has(fn.parent)) {
      reject(member(list[i] ?? field, 'up'), 'the address of a function in this file')
    }
  })
  return {
    source: `machine ${name}`,
    kernelRelease: fact(member(field, 'kernelRelease'), missing, text),
    commandLine: fact(member(field, 'commandLine'), missing, text),
    functions: ordered(functions),
    hostedBuses: items(member(field, 'hostedBuses')).map((item) => ({
      bus: matched(member(item, 'bus'), /^([0-9a-f]{4,8}:[0-9a-f]{2})$/, 'a bus')[0] ?? '',
      host: address(member(item, 'host')),
    })),
    groups: known([...groups].map(([id, members]) => hostGroup(id, members, listed))),
    otherDevices: [],
    units: missing,
    interruptChips: missing,
    vfio: { modules: missing, parameters: {}, nodes: missing },
  }
}

function ordered(functions: readonly PciFunction[]): readonly PciFunction[] {
  const zero = { domain: 0, bus: 0, device: 0, function: 0 }
  return functions.toSorted((a, b) =>
    compareAddresses(parseAddress(a.address) ?? zero, parseAddress(b.address) ?? zero),
  )
}

function hostGroup(id: string, members: readonly string[], listed: ReadonlySet<string>): HostGroup {
  return {
    id,
    members: members.filter((at) => listed.has(at)),
    type: unknown(NOT_HELD),
    name: unknown(NOT_HELD),
    reserved: unknown(NOT_HELD),
  }
}

const MEMBERS = [
  ...['at', 'vendor', 'device', 'class', 'className', 'name', 'rev', 'sub', 'driver', 'up', 'pf'],
  ...['header', 'multi', 'buses', 'pcie', 'acs', 'sriov', 'flr', 'caps', 'ext', 'damage'],
]

function pciFunction(field: Field, expected: ReadonlyMap<string, string>): PciFunction {
  onlyMembers(field, MEMBERS)
  const at = address(member(field, 'at'))
  const up = member(field, 'up')
  const missing = unknown(NOT_HELD)
  const optionalText = (of: Field): string | null => (of.value === undefined ? null : text(of))
  return {
    address: at,
    parent: up.value === undefined ? null : address(up),
    vendor: fact(member(field, 'vendor'), missing, (f) => hexNumber(f, 4)),
    device: fact(member(field, 'device'), missing, (f) => hexNumber(f, 4)),
    classCode: fact(member(field, 'class'), missing, (f) => hexNumber(f, 6)),
    revision: fact(member(field, 'rev'), known(0), (f) => hexNumber(f, 2)),
    subsystem: fact<PciIds | null>(member(field, 'sub'), known(null), ids),
    name: optionalText(member(field, 'name')),
    className: optionalText(member(field, 'className')),
    driver: fact<string | null>(member(field, 'driver'), known(null), text),
    physicalFunction: fact<string | null>(member(field, 'pf'), known(null), address),
    group: known(expected.get(at) ?? null),
    config: config(field),
    resetMethods: missing,
  }
}

function config(field: Field): ConfigFacts {
  const damage = member(field, 'damage')
  return {
    size: 0,
    headerType: fact(member(field, 'header'), known(0), (f) => count(f, 127)),
    multifunction: fact(member(field, 'multi'), known(false), truth),
    buses: fact<BridgeBuses | null>(member(field, 'buses'), known(null), buses),
    pcie: fact(member(field, 'pcie'), known(null), (f) => ({ type: count(f, 15) })),
    acs: fact<AcsCapability | null>(member(field, 'acs'), known(null), acs),
    sriov: fact<SriovCapability | null>(member(field, 'sriov'), known(null), sriov),
    functionLevelReset: fact(member(field, 'flr'), known(false), truth),
    capabilities: idList(member(field, 'caps'), 2),
    extendedCapabilities: idList(member(field, 'ext'), 4),
    damage: damage.value === undefined ? [] : items(damage).map(text),
  }
}

function address(field: Field): string {
  const at = typeof field.value === 'string' ? parseAddress(field.value) : null
  return at === null ? reject(field, 'an address such as "0000:01:00.0"') : text(field)
}

function ids(field: Field): PciIds {
  const pattern = /^([0-9a-f]{4}):([0-9a-f]{4})$/
  const [vendor, device] = matched(field, pattern, 'ids such as "8086:9d10"')
  return { vendor: parseInt(vendor ?? '', 16), device: parseInt(device ?? '', 16) }
}

function buses(field: Field): BridgeBuses {
  const pattern = /^([0-9a-f]{2})-([0-9a-f]{2})-([0-9a-f]{2})$/
  const parts = matched(field, pattern, 'primary, secondary and subordinate bus such as "00-01-03"')
  const [primary = 0, secondary = 0, subordinate = 0] = parts.map((part) => parseInt(part, 16))
  return { primary, secondary, subordinate }
}

function acs(field: Field): AcsCapability {
  const pattern = /^(?:present|([0-9a-f]{2})\/([0-9a-f]{2}))$/
  const [capability, control] = matched(
    field,
    pattern,
    'ACS registers such as "5f/1d", or "present"',
  )
  const bits =
    capability === undefined || capability === ''
      ? unknown(NOT_HELD)
      : known({ capability: parseInt(capability, 16), control: parseInt(control ?? '', 16) })
  return { bits, wideBits: unknown(NOT_HELD) }
}

function sriov(field: Field): SriovCapability {
  const pattern = /^(\d{1,5})\/(\d{1,5})\/(\d{1,5})\/(\d{1,5})\/([0-9a-f]{4})$/
  const parts = matched(
    field,
    pattern,
    'total/active/offset/stride/device such as "8/2/128/2/1520"',
  )
  const [totalVfs = 0, numVfs = 0, offset = 0, stride = 0] = parts.map(Number)
  return { totalVfs, numVfs, offset, stride, vfDevice: parseInt(parts[4] ?? '', 16) }
}

function idList(field: Field, digits: number): Fact<readonly number[]> {
  return fact<readonly number[]>(field, known([]), (f) =>
    text(f)
      .split(' ')
      .map((id) => hexNumber({ value: id, path: f.path }, digits)),
  )
}
