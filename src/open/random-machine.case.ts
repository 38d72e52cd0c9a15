/**
 * Random PCI trees as machine descriptions, for holding two formulations of grouping against each other:
 * all kinds of ports and bridges, with all, some or none of ACS, devices with quirks, functions with and
 * without the multifunction bit, several root buses, virtual functions, VMD.
 */
import { known } from '../base/fact.ts'
import { fromHex, toHex } from '../base/hex-bytes.ts'
import type { FunctionDescription, MachineDescription } from '../model/machine/description.ts'
import { formatAddress, formatBus, hex, parseAddress } from '../pci/address.ts'
import { extendedCapabilityOffset } from '../pci/config-decode.ts'
import { encodeConfig } from '../pci/config-encode.ts'
import { type ConfigFacts, EXTENDED_CAPABILITY, PCIE_TYPE } from '../pci/config-facts.ts'

const DEPTH_MAX = 4
const FUNCTIONS_MAX = 28
/** Less than real functions have: nothing is behind it, and a tenth is made ten times as quickly. */
const CONFIG_BYTES = 0x200

/** Ids with rules of their own in the kernel, as vendor and device. */
const QUIRKS: readonly (readonly [number, number])[] = [
  // ACS: endpoints that isolate, ports that do, Sunrise Point, one that overrides a real capability
  ...([
    [0x8086, 0x1521],
    [0x8086, 0x10fb],
    [0x1d17, 0x0720],
    [0x1d17, 0x0711],
    [0x17cb, 0x0400],
    [0x8086, 0xa110],
    [0x8088, 0x1001],
    [0x8088, 0x9999],
    [0x8086, 0x1234],
  ] as const),
  // DMA aliases
  ...([
    [0x1b4b, 0x9230],
    [0x1180, 0xe832],
    [0x8086, 0x2260],
    [0x10b5, 0x87b0],
    [0x9005, 0x0285],
    [0x1283, 0x8892],
    [0x14e4, 0x9000],
  ] as const),
]

/** mulberry32: small, and the same everywhere. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

interface Grower {
  readonly random: (below: number) => number
  readonly functions: FunctionDescription[]
  readonly nextBus: Map<number, number>
  /** No more functions than this. */
  readonly most: number
}

/** The machine of a seed. */
export function randomMachine(seed: number): MachineDescription {
  const random = generator(seed)
  const most = 2 + random(FUNCTIONS_MAX)
  const grower: Grower = { random, functions: [], nextBus: new Map(), most }
  const roots: { domain: number; bus: number }[] = [{ domain: 0, bus: 0 }]
  if (random(5) === 0) roots.push({ domain: 0, bus: 0x80 })
  if (random(8) === 0) roots.push({ domain: 1, bus: 0 })
  const hosted = random(8) === 0
  if (hosted) roots.push({ domain: 0x10000, bus: 0 })
  for (const root of roots) {
    grower.nextBus.set(root.domain, root.bus + 1)
    growBus(grower, root.domain, root.bus, null, 0, null)
  }
  const host = grower.functions.find(({ at, parent, config }) => {
    return parent === null && at.startsWith('0000:') && config.slice(28, 30) === '00'
  })
  return {
    name: `random ${String(seed)}`,
    title: 'a random machine',
    kernelRelease: '6.12.117',
    commandLine: '',
    cpu: { vendor: 'GenuineIntel', flags: [] },
    acpiTables: ['DMAR'],
    // Enough for the tables of contexts: small machines are made quickly.
    memoryBytes: 2 ** 17,
    iommu: {
      kind: 'intel',
      interruptRemapping: false,
      units: [{ name: 'dmar0', attributes: {}, scope: null }],
      defaultDomain: 'identity',
      reserved: [],
    },
    functions: withFreeVirtualFunctions(grower.functions),
    hostedBuses:
      hosted && host !== undefined ? [{ bus: formatBus(0x10000, 0), host: host.at }] : [],
    drivers: [],
    names: {},
  }
}

/** @param above type of the bridge above; null on a root bus */
function growBus(
  grower: Grower,
  domain: number,
  bus: number,
  parent: string | null,
  depth: number,
  above: number | null | 'root',
): void {
  const { random } = grower
  const link = above === PCIE_TYPE.rootPort || above === PCIE_TYPE.downstreamPort
  const slots = link ? 1 : 1 + random(parent === null ? 6 : 3)
  for (let n = 0; n < slots; n++) {
    if (grower.functions.length >= grower.most) return
    const device = link ? 0 : n + (parent === null ? 1 : 0)
    const count = random(3) === 0 ? 2 + random(2) : 1
    for (let fn = 0; fn < count; fn++) {
      const bit = fn === 0 ? count > 1 : random(2) === 0
      const at = formatAddress({ domain, bus, device, function: fn })
      growFunction(
        grower,
        { at, domain, bus, parent, depth, above: link ? above : parent === null ? 'root' : above },
        bit,
      )
    }
  }
}

interface Place {
  readonly at: string
  readonly domain: number
  readonly bus: number
  readonly parent: string | null
  readonly depth: number
  readonly above: number | null | 'root'
}

function growFunction(grower: Grower, place: Place, multifunction: boolean): void {
  const { random, functions } = grower
  const type = chooseType(random, place)
  const bridge = isBridge(random, type, place.depth)
  const next = grower.nextBus.get(place.domain) ?? 1
  const secondary = bridge && next < 0x7f ? next : null
  const position = functions.length
  if (secondary !== null) grower.nextBus.set(place.domain, next + 1)
  functions.push(describe(grower, place, type, multifunction, secondary))
  if (secondary === null) return
  growBus(grower, place.domain, secondary, place.at, place.depth + 1, type)
  const last = (grower.nextBus.get(place.domain) ?? 1) - 1
  const made = functions[position]
  if (made !== undefined) functions[position] = withSubordinate(made, last)
}

/** Mostly what belongs there, sometimes what does not. */
function chooseType(random: Grower['random'], { above }: Place): number | null {
  const { endpoint, legacyEndpoint, rootPort, upstreamPort, downstreamPort } = PCIE_TYPE
  const { pcieToPciBridge, pciToPcieBridge, integratedEndpoint } = PCIE_TYPE
  if (random(12) === 0) {
    const odd = [null, endpoint, upstreamPort, downstreamPort, pcieToPciBridge, pciToPcieBridge]
    return odd[random(odd.length)] ?? null
  }
  const usual =
    above === 'root'
      ? [rootPort, rootPort, rootPort, integratedEndpoint, null, pcieToPciBridge]
      : above === rootPort || above === downstreamPort
        ? [endpoint, endpoint, legacyEndpoint, upstreamPort, pcieToPciBridge]
        : above === upstreamPort
          ? [downstreamPort]
          : above === pciToPcieBridge
            ? [endpoint, upstreamPort]
            : [null, null, null, pciToPcieBridge]
  return usual[random(usual.length)] ?? null
}

function isBridge(random: Grower['random'], type: number | null, depth: number): boolean {
  if (depth >= DEPTH_MAX) return false
  if (type === null) return random(4) === 0
  return type >= PCIE_TYPE.rootPort && type <= PCIE_TYPE.pciToPcieBridge
}

function describe(
  grower: Grower,
  place: Place,
  type: number | null,
  multifunction: boolean,
  secondary: number | null,
): FunctionDescription {
  const { random } = grower
  const quirk = random(6) === 0 ? QUIRKS[random(QUIRKS.length)] : undefined
  const [vendor, device] = quirk ?? [0x1b36, 0x000c]
  const capability = [null, null, 0x5f, 0x1d, 0x0f, random(0x80)][random(6)] ?? null
  const acs = type === null || capability === null ? null : { capability, control: 0 }
  const sriov =
    type === PCIE_TYPE.endpoint && random(6) === 0
      ? { totalVfs: 4, numVfs: 0, ...virtualIds(grower, place), vfDevice: 1 }
      : null
  const facts: ConfigFacts = {
    size: 0,
    headerType: known(secondary === null ? 0 : 1),
    multifunction: known(multifunction),
    buses: known(
      secondary === null ? null : { primary: place.bus, secondary, subordinate: secondary },
    ),
    pcie: known(type === null ? null : { type }),
    acs: known(acs === null ? null : { bits: known(acs), wideBits: known({ ...acs, control: 0 }) }),
    sriov: known(sriov),
    functionLevelReset: known(false),
    capabilities: known(type === null ? [] : [0x10]),
    extendedCapabilities: known([
      ...(acs === null ? [] : [0x0d]),
      ...(sriov === null ? [] : [0x10]),
    ]),
    damage: [],
  }
  const identity = {
    vendor,
    device,
    classCode: secondary === null ? 0x020000 : 0x060400,
    revision: 0,
    subsystem: vendor === 0x9005 ? { vendor: 0x9005, device: 0x02bb } : null,
  }
  const { bytes } = encodeConfig(identity, facts)
  return {
    at: place.at,
    parent: place.parent,
    kind: 'generic',
    config: toHex(bytes.subarray(0, CONFIG_BYTES)),
    bars: [],
    driver: null,
    ...(sriov === null || random(2) === 0
      ? {}
      : { virtualFunctions: Array.from({ length: 1 + random(4) }, () => ({ driver: null })) }),
  }
}

function withSubordinate(fn: FunctionDescription, last: number): FunctionDescription {
  return { ...fn, config: fn.config.slice(0, 0x1a * 2) + hex(last, 2) + fn.config.slice(0x1b * 2) }
}

const BUS_IDS = 0x100

/** Sometimes virtual functions are on a bus number of their own, which no bridge leads to. */
function virtualIds(
  { random, nextBus }: Grower,
  { domain, bus, parent }: Place,
): { readonly offset: number; readonly stride: number } {
  const stride = 1 + random(2)
  if (random(3) > 0 || parent === null || nextBus.get(domain) !== bus + 1) {
    return { offset: 1 + random(3) * 8, stride }
  }
  nextBus.set(domain, bus + 2)
  return { offset: BUS_IDS, stride }
}

/** Hardware never gives a virtual function the id of another function; chance does. */
function withFreeVirtualFunctions(
  functions: readonly FunctionDescription[],
): readonly FunctionDescription[] {
  const taken = new Set(functions.map(({ at }) => idOf(at)))
  return functions.map((fn) => {
    const { virtualFunctions } = fn
    if (virtualFunctions === undefined) return fn
    const view = new DataView(fromHex(fn.config).buffer)
    const offset = extendedCapabilityOffset(new Uint8Array(view.buffer), EXTENDED_CAPABILITY.sriov)
    if (offset === null) return fn
    const ids = virtualFunctions.map(
      (_, n) =>
        idOf(fn.at) + view.getUint16(offset + 0x14, true) + n * view.getUint16(offset + 0x16, true),
    )
    if (ids.some((id) => taken.has(id))) return { ...fn, virtualFunctions: [] }
    for (const id of ids) taken.add(id)
    return fn
  })
}

/** Different for every function of all domains. */
function idOf(at: string): number {
  const { domain, bus, device, function: fn } = parseAddress(at) ?? ZERO
  return domain * 0x10000 + bus * BUS_IDS + device * 8 + fn
}

const ZERO = { domain: 0, bus: 0, device: 0, function: 0 }
