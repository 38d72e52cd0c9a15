/**
 * Writes the machine file of a host that was read from lspci text: the inverse of parseMachine in
 * src/open/machine-file.ts, one line for each function so that a change shows in a diff.
 */
import type { Fact } from '../src/base/fact.ts'
import type { HostSnapshot, PciFunction } from '../src/isolation/host.ts'
import { MACHINE_FORMAT, MACHINE_VERSION } from '../src/open/machine-file.ts'
import { hex } from '../src/pci/address.ts'
import type { ConfigFacts } from '../src/pci/config-facts.ts'

/** Where a machine's groups come from. */
export interface MachineSource {
  readonly name: string
  readonly category: string
  /** As the source tells it; taken as the release only when it is nothing but a release. */
  readonly kernel: string
  readonly messageIds: readonly string[]
  readonly note: string
  /** Group number by address, as the kernel formed them. */
  readonly groups: ReadonlyMap<string, string>
}

type Json = string | number | boolean | null | { readonly '?': string } | readonly string[]

/** The whole file, with its last line end. */
export function machineJson(snapshot: HostSnapshot, source: MachineSource): string {
  const listed = new Set(snapshot.functions.map((fn) => fn.address))
  const unlisted = [...source.groups.keys()].filter((address) => !listed.has(address)).sort()
  const lines = (values: readonly unknown[]): string =>
    values.length === 0 ? '[]' : `[\n${values.map((v) => `   ${oneLine(v)}`).join(',\n')}\n  ]`
  const head = {
    format: MACHINE_FORMAT,
    version: MACHINE_VERSION,
    name: source.name,
    category: source.category,
    kernel: source.kernel,
    source: { messageIds: source.messageIds, note: source.note },
  }
  const facts = {
    kernelRelease: release(snapshot.kernelRelease, source.kernel),
    commandLine: factJson(snapshot.commandLine, (value) => value),
    hostedBuses: snapshot.hostedBuses,
  }
  return [
    '{',
    ...Object.entries(head).map(([key, value]) => ` ${JSON.stringify(key)}: ${oneLine(value)},`),
    ' "snapshot": {',
    ...Object.entries(facts).map(([key, value]) => `  ${JSON.stringify(key)}: ${oneLine(value)},`),
    `  "functions": ${lines(snapshot.functions.map(functionJson))}`,
    ' },',
    ' "expectedGroups": {',
    groupLines(source.groups, listed),
    ' },',
    ` "unlisted": ${oneLine(unlisted)}`,
    '}',
    '',
  ].join('\n')
}

function groupLines(groups: ReadonlyMap<string, string>, listed: ReadonlySet<string>): string {
  const members = new Map<string, string[]>()
  for (const [address, id] of groups) {
    if (!listed.has(address)) continue
    const list = members.get(id)
    if (list === undefined) members.set(id, [address])
    else list.push(address)
  }
  return [...members]
    .sort(([a], [b]) => Number(a) - Number(b))
    .map(([id, list]) => `  ${JSON.stringify(id)}: ${oneLine(list.sort())}`)
    .join(',\n')
}

/** JSON on one line with a blank after each comma and colon, as people write it. */
function oneLine(value: unknown): string {
  return JSON.stringify(value, null, 1)
    .replace(/\n */g, ' ')
    .replace(/([[{]) /g, '$1')
    .replace(/ ([\]}])/g, '$1')
}

function release(fact: Fact<string>, told: string): Json {
  if (fact.known) return fact.value
  if (/^\d+\.\d+\.\d[\w.-]*$/.test(told)) return told
  return { '?': `the source says "${told}"` }
}

function factJson<T>(fact: Fact<T>, write: (value: T) => Json): Json {
  return fact.known ? write(fact.value) : { '?': fact.why }
}

/** Members in the order of the format, without those that have the value which leaving out means. */
function functionJson(fn: PciFunction): Record<string, Json> {
  const nullable =
    <T>(write: (value: T) => Json) =>
    (value: T | null): Json =>
      value === null ? null : write(value)
  const all: readonly (readonly [string, Json, Json | undefined])[] = [
    ['at', fn.address, undefined],
    ['vendor', factJson(fn.vendor, (id) => hex(id, 4)), undefined],
    ['device', factJson(fn.device, (id) => hex(id, 4)), undefined],
    ['class', factJson(fn.classCode, (code) => hex(code, 6)), undefined],
    ['className', fn.className, null],
    ['name', fn.name, null],
    ['rev', factJson(fn.revision, (revision) => hex(revision, 2)), '00'],
    [
      'sub',
      factJson(
        fn.subsystem,
        nullable((sub) => `${hex(sub.vendor, 4)}:${hex(sub.device, 4)}`),
      ),
      null,
    ],
    ['driver', factJson(fn.driver, (driver) => driver), null],
    ['up', fn.parent, null],
    ['pf', factJson(fn.physicalFunction, (pf) => pf), null],
    ...configMembers(fn.config, nullable),
  ]
  return Object.fromEntries(
    all.filter(([, value, omitted]) => value !== omitted).map(([name, value]) => [name, value]),
  )
}

function configMembers(
  config: ConfigFacts,
  nullable: <T>(write: (value: T) => Json) => (value: T | null) => Json,
): readonly (readonly [string, Json, Json | undefined])[] {
  const ids = (fact: Fact<readonly number[]>, digits: number): Json =>
    factJson(fact, (list) => list.map((id) => hex(id, digits)).join(' '))
  const damage: Json = config.damage.length === 0 ? null : config.damage
  return [
    ['header', factJson(config.headerType, (type) => type), 0],
    ['multi', factJson(config.multifunction, (set) => set), false],
    [
      'buses',
      factJson(
        config.buses,
        nullable((b) => [b.primary, b.secondary, b.subordinate].map((n) => hex(n, 2)).join('-')),
      ),
      null,
    ],
    [
      'pcie',
      factJson(
        config.pcie,
        nullable((pcie) => pcie.type),
      ),
      null,
    ],
    [
      'acs',
      factJson(
        config.acs,
        nullable(({ bits }) =>
          bits.known ? `${hex(bits.value.capability, 2)}/${hex(bits.value.control, 2)}` : 'present',
        ),
      ),
      null,
    ],
    [
      'sriov',
      factJson(
        config.sriov,
        nullable((s) =>
          [s.totalVfs, s.numVfs, s.offset, s.stride, hex(s.vfDevice, 4)].map(String).join('/'),
        ),
      ),
      null,
    ],
    ['flr', factJson(config.functionLevelReset, (flr) => flr), false],
    ['caps', ids(config.capabilities, 2), ''],
    ['ext', ids(config.extendedCapabilities, 4), ''],
    ['damage', damage, null],
  ]
}
