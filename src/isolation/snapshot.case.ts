/** Builds snapshots for tests from short descriptions: what is not said is known and ordinary. */
import { known, unknown } from '../base/fact.ts'
import { decodeConfig } from '../pci/config-decode.ts'
import type { AcsBits, ConfigFacts, PcieCapability } from '../pci/config-facts.ts'
import type { HostedBus, HostSnapshot, PciFunction } from './host.ts'

export interface DescribedFunction {
  readonly at: string
  readonly parent?: string | null
  /** PCI Express type; null = conventional; 'unknown' = unread. Default 0, an endpoint. */
  readonly type?: number | null | 'unknown'
  /** ACS bits; null = no capability (default); 'unknown' = unread; 'unread-bits' = present, bits unread. */
  readonly acs?: readonly [capability: number, control: number] | null | 'unknown' | 'unread-bits'
  readonly wideAcs?: readonly [capability: number, control: number]
  /** Header bit 7; default false. */
  readonly multifunction?: boolean | 'unknown'
  /** "8086:1533"; default 1234:0001. null = unknown. */
  readonly ids?: string | null
  readonly subsystem?: string
  /** Default 0x020000. */
  readonly classCode?: number
  readonly driver?: string | null
  readonly group?: string | null
  readonly physicalFunction?: string | null
  readonly resetMethods?: readonly string[]
  readonly config?: ConfigFacts
}

export interface DescribedHost {
  readonly functions: readonly DescribedFunction[]
  readonly hostedBuses?: readonly HostedBus[]
  readonly kernel?: string
  readonly commandLine?: string
}

const NOT_READ = 'config space: only 64 bytes readable'

export function describeSnapshot(host: DescribedHost): HostSnapshot {
  const functions = host.functions.map(describeFunction)
  const groups = new Map<string, string[]>()
  for (const fn of functions) {
    if (!fn.group.known || fn.group.value === null) continue
    groups.set(fn.group.value, [...(groups.get(fn.group.value) ?? []), fn.address])
  }
  return {
    source: 'test',
    kernelRelease: host.kernel === undefined ? unknown('not said') : known(host.kernel),
    commandLine: known(host.commandLine ?? ''),
    functions,
    hostedBuses: host.hostedBuses ?? [],
    groups: known(
      [...groups].map(([id, members]) => ({
        id,
        members,
        type: known('DMA'),
        name: known(null),
        reserved: known([]),
      })),
    ),
    otherDevices: [],
    units: known([]),
    interruptChips: known([]),
    vfio: { modules: known([]), parameters: {}, nodes: known([]) },
  }
}

function describeFunction(fn: DescribedFunction): PciFunction {
  const ids = fn.ids === null ? null : parseIds(fn.ids ?? '1234:0001')
  return {
    address: fn.at,
    parent: fn.parent ?? null,
    vendor: ids === null ? unknown('not said') : known(ids.vendor),
    device: ids === null ? unknown('not said') : known(ids.device),
    classCode: known(fn.classCode ?? 0x020000),
    revision: known(0),
    subsystem: known(fn.subsystem === undefined ? null : parseIds(fn.subsystem)),
    name: null,
    className: null,
    driver: known(fn.driver ?? null),
    physicalFunction: known(fn.physicalFunction ?? null),
    group: fn.group === undefined ? unknown('not said') : known(fn.group),
    config: fn.config ?? describeConfig(fn),
    resetMethods: known(fn.resetMethods ?? ['flr']),
  }
}

function parseIds(text: string): { vendor: number; device: number } {
  const [vendor = '', device = ''] = text.split(':')
  return { vendor: parseInt(vendor, 16), device: parseInt(device, 16) }
}

function describeConfig(fn: DescribedFunction): ConfigFacts {
  const type = fn.type === undefined ? 0 : fn.type
  const pcie: PcieCapability | null = typeof type === 'number' ? { type } : null
  const mf = fn.multifunction ?? false
  return {
    ...decodeConfig(new Uint8Array(256), true),
    pcie: type === 'unknown' ? unknown(NOT_READ) : known(pcie),
    acs: describeAcs(fn),
    multifunction: mf === 'unknown' ? unknown(NOT_READ) : known(mf),
  }
}

function describeAcs(fn: DescribedFunction): ConfigFacts['acs'] {
  const acs = fn.acs ?? null
  if (acs === 'unknown') return unknown(NOT_READ)
  if (acs === null && fn.wideAcs === undefined) return known(null)
  const unread = unknown('not shown')
  return known({
    bits: acs === 'unread-bits' || acs === null ? unread : known(bitsOf(acs)),
    wideBits: fn.wideAcs === undefined ? unread : known(bitsOf(fn.wideAcs)),
  })
}

function bitsOf(pair: readonly [number, number]): AcsBits {
  return { capability: pair[0], control: pair[1] }
}
