/**
 * The digital twin of a host: what can be read of it, as a machine that the model can boot.
 *
 * Where config space was read as root its own bytes are used, with what the running kernel enabled set
 * back (virtual functions); else bytes are made from the facts (pci/config-encode.ts). What is not known
 * is assumed, and every assumption is told: a twin answers "what would this machine do", which is only
 * as good as what was known about it.
 */
import type { Fact } from '../base/fact.ts'
import type {
  DeviceDetails,
  Host,
  HostReadiness,
  HostSnapshot,
  IommuUnit,
  PciFunction,
} from '../isolation/host.ts'
import { driverRole } from '../isolation/assess/driver-roles.ts'
import { readInterrupts } from '../isolation/assess/interrupts.ts'
import { buildTopology } from '../isolation/topology/topology.ts'
import type {
  DriverDescription,
  FunctionDescription,
  IommuDescription,
  MachineDescription,
  UnitDescription,
} from '../model/machine/description.ts'
import { compareAddresses, hex, parseAddress } from '../pci/address.ts'
import { twinFunction } from './twin-function.ts'
import { idNames } from './twin-names.ts'

export interface Twin {
  readonly machine: MachineDescription
  /** What was not known of the host and how the twin has it; empty = nothing. */
  readonly assumed: readonly string[]
}

/** Taken where a host does not tell its own: the newest kernel the model is checked against. */
const RELEASE = '6.12.117'
const MEMORY_BYTES = 8 * 1024 ** 3

/** Reads the host once. @throws IsogroupError as host.snapshot() */
export function twinOf(host: Host): Twin {
  const snapshot = host.snapshot()
  const readiness = host.readiness()
  const physical = snapshot.functions.filter(isPhysical)
  const details = new Map(
    host.details(physical.map((fn) => fn.address)).map((one) => [one.address, one]),
  )
  const assumed: string[] = []
  const assume = <T>(fact: Fact<T>, value: T, what: string): T => {
    if (fact.known) return fact.value
    assumed.push(`${what} (${fact.why})`)
    return value
  }
  const cpuVendor = assume(readiness.cpuVendor, guessedCpu(snapshot), 'processor: by its devices')
  return {
    machine: {
      name: 'twin',
      title: `twin of ${snapshot.source}`,
      kernelRelease: assume(snapshot.kernelRelease, RELEASE, `kernel: ${RELEASE}`),
      commandLine: assume(snapshot.commandLine, '', 'kernel command line: empty'),
      cpu: { vendor: cpuVendor, flags: known0(readiness.cpuFlags) },
      acpiTables: acpiTables(readiness, cpuVendor, snapshot),
      memoryBytes: readiness.memory.known ? readiness.memory.value : MEMORY_BYTES,
      iommu: iommuOf(snapshot, details, cpuVendor, assumed),
      functions: functionsOf(snapshot, details, assumed),
      hostedBuses: snapshot.hostedBuses,
      drivers: driversOf(snapshot),
      names: idNames(snapshot.functions),
    },
    assumed,
  }
}

function isPhysical(fn: PciFunction): boolean {
  return !fn.physicalFunction.known || fn.physicalFunction.value === null
}

function known0(fact: Fact<readonly string[]>): readonly string[] {
  return fact.known ? fact.value : []
}

/** An IOMMU's own function (class 0806) or an AMD host bridge tells the maker; Intel otherwise. */
function guessedCpu(snapshot: HostSnapshot): string {
  const amd = snapshot.functions.some(
    ({ vendor, classCode }) =>
      vendor.known &&
      vendor.value === 0x1022 &&
      classCode.known &&
      [0x0600, 0x0806].includes(classCode.value >>> 8),
  )
  return amd ? 'AuthenticAMD' : 'GenuineIntel'
}

function acpiTables(
  { acpiTables: tables }: HostReadiness,
  cpu: string,
  snapshot: HostSnapshot,
): readonly string[] {
  if (tables.known) return tables.value
  if (!snapshot.groups.known || snapshot.groups.value.length === 0) return ['APIC', 'FACP', 'MCFG']
  return ['APIC', cpu === 'AuthenticAMD' ? 'IVRS' : 'DMAR', 'FACP', 'MCFG']
}

type Details = ReadonlyMap<string, DeviceDetails>

function iommuOf(
  snapshot: HostSnapshot,
  details: Details,
  cpu: string,
  assumed: string[],
): IommuDescription | null {
  const { units, groups } = snapshot
  if (units.known && units.value.length === 0) return null
  if (!units.known) {
    const inUse = !groups.known || groups.value.length > 0
    assumed.push(`IOMMU: ${inUse ? 'one unit for every function' : 'none'} (${units.why})`)
    if (!inUse) return null
  }
  const kind = kindOf(units.known ? units.value : [], cpu)
  if (units.known && units.value.every((unit) => unit.kind === 'other')) {
    const name = kind === 'amd' ? 'AMD-Vi' : 'VT-d'
    assumed.push(`IOMMU: ${name}, for ${units.value.map((unit) => unit.name).join(' ')}`)
  }
  const type = groups.known ? groups.value.find((group) => group.type.known)?.type : undefined
  const verdict = readInterrupts(snapshot, buildTopology(snapshot)).host
  if (verdict.verdict === 'unknown') assumed.push('interrupt remapping: on')
  return {
    kind,
    interruptRemapping: verdict.verdict !== 'no',
    units: unitsOf(units.known ? units.value : [], kind, details, snapshot.functions),
    defaultDomain: domainType(type),
    reserved: reservedOf(snapshot),
  }
}

function kindOf(units: readonly IommuUnit[], cpu: string): 'intel' | 'amd' {
  const named = units.find((unit) => unit.kind !== 'other')?.kind
  if (named === 'intel' || named === 'amd') return named
  return cpu === 'AuthenticAMD' ? 'amd' : 'intel'
}

function domainType(type: Fact<string> | undefined): IommuDescription['defaultDomain'] {
  const value = type?.known === true ? type.value : 'DMA-FQ'
  return value === 'DMA' || value === 'identity' ? value : 'DMA-FQ'
}

/** Units in the order of their numbers; each covers what the kernel linked to it. */
function unitsOf(
  units: readonly IommuUnit[],
  kind: 'intel' | 'amd',
  details: Details,
  functions: readonly PciFunction[],
): readonly UnitDescription[] {
  const scope = scopeOfAll(functions)
  if (units.length === 0) return assumedUnits(kind, functions, scope)
  if (units.length === 1) return units.map(({ name, attributes }) => ({ name, attributes, scope }))
  return units.map(({ name, attributes }) => ({
    name,
    attributes,
    scope: [...details.values()]
      .filter(({ unit }) => unit.known && unit.value === name)
      .map(({ address }) => address),
  }))
}

/**
 * One unit for all, or where an Intel host counts its groups from the graphics on, that one's own first:
 * groups are numbered in the order of units.
 */
function assumedUnits(
  kind: 'intel' | 'amd',
  functions: readonly PciFunction[],
  scope: readonly string[] | null,
): readonly UnitDescription[] {
  if (kind === 'amd') return [{ name: 'ivhd0', attributes: {}, scope }]
  const graphics = functions.find(
    ({ group, classCode, parent }) =>
      group.known && group.value === '0' && parent === null && isDisplay(classCode),
  )
  if (graphics === undefined) return [{ name: 'dmar0', attributes: {}, scope }]
  return [
    { name: 'dmar0', attributes: {}, scope: [graphics.address] },
    { name: 'dmar1', attributes: {}, scope },
  ]
}

function isDisplay(classCode: Fact<number>): boolean {
  return classCode.known && classCode.value >>> 16 === 0x03
}

/**
 * A lone unit usually covers everything (null). Firmware of AMD machines leaves out the host bridges, whose
 * functions then have no group.
 */
function scopeOfAll(functions: readonly PciFunction[]): readonly string[] | null {
  const hasGroup = ({ group }: PciFunction): boolean => !group.known || group.value !== null
  const isUnit = ({ classCode }: PciFunction): boolean =>
    classCode.known && classCode.value >>> 8 === 0x0806
  if (functions.every((fn) => hasGroup(fn) || isUnit(fn))) return null
  const covered = functions.filter((fn) => isPhysical(fn) && hasGroup(fn))
  return covered.length === 0 ? null : covered.map(({ address }) => address)
}

/** Regions that firmware asked for: those every group of the unit kind has are the unit's own. */
function reservedOf(snapshot: HostSnapshot): IommuDescription['reserved'] {
  if (!snapshot.groups.known) return []
  return snapshot.groups.value.flatMap(({ members, reserved }) => {
    const at = members.find((name) => parseAddress(name) !== null)
    if (at === undefined || !reserved.known) return []
    return reserved.value.flatMap(({ start, end, kind }) =>
      kind === 'direct' || kind === 'direct-relaxable' ? [{ at, start, end, kind }] : [],
    )
  })
}

function functionsOf(
  snapshot: HostSnapshot,
  details: Details,
  assumed: string[],
): readonly FunctionDescription[] {
  const virtual = new Map<string, PciFunction[]>()
  for (const fn of snapshot.functions) {
    if (isPhysical(fn) || !fn.physicalFunction.known || fn.physicalFunction.value === null) continue
    const of = virtual.get(fn.physicalFunction.value) ?? []
    of.push(fn)
    virtual.set(fn.physicalFunction.value, of)
  }
  const slots = new Set(snapshot.functions.filter(isPhysical).map((fn) => fn.address))
  const described = snapshot.functions.filter(isPhysical).map((fn) => {
    const mates = slotHasOthers(fn.address, slots)
    const made = twinFunction(fn, details.get(fn.address), virtual.get(fn.address) ?? [], mates)
    assumed.push(...made.assumed.map((what) => `${fn.address} ${what}`))
    return made.description
  })
  return parentsFirst(described)
}

function slotHasOthers(address: string, all: ReadonlySet<string>): boolean {
  const slot = address.slice(0, -1)
  return [0, 1, 2, 3, 4, 5, 6, 7].some((n) => {
    const mate = slot + String(n)
    return mate !== address && all.has(mate)
  })
}

/** By depth, then by address: a bridge stands before what is below it. */
function parentsFirst(functions: readonly FunctionDescription[]): readonly FunctionDescription[] {
  const parents = new Map(functions.map((fn) => [fn.at, fn.parent]))
  const depths = new Map<string, number>()
  const depth = (at: string): number => {
    const found = depths.get(at)
    if (found !== undefined) return found
    const parent = parents.get(at) ?? null
    const value = parent === null || !parents.has(parent) ? 0 : depth(parent) + 1
    depths.set(at, value)
    return value
  }
  const zero = { domain: 0, bus: 0, device: 0, function: 0 }
  return functions.toSorted(
    (a, b) =>
      depth(a.at) - depth(b.at) ||
      compareAddresses(parseAddress(a.at) ?? zero, parseAddress(b.at) ?? zero),
  )
}

/** Every model has it. */
const VFIO_PCI = 'vfio-pci'

/** Drivers by the devices they hold: what binds in the twin is what bound on the host. */
function driversOf(snapshot: HostSnapshot): readonly DriverDescription[] {
  const ids = new Map<string, Map<string, { vendor: number; device: number }>>()
  for (const { driver, vendor, device } of snapshot.functions) {
    if (!driver.known || driver.value === null || driver.value === VFIO_PCI) continue
    const of = ids.get(driver.value) ?? new Map<string, { vendor: number; device: number }>()
    ids.set(driver.value, of)
    if (!vendor.known || !device.known) continue
    const id = { vendor: vendor.value, device: device.value }
    of.set(`${hex(id.vendor, 4)}:${hex(id.device, 4)}`, id)
  }
  return [...ids].map(([name, of]) => ({
    name,
    module: name.replaceAll('-', '_'),
    managesDma: driverRole(name) !== 'kernel',
    ids: [...of.values()],
  }))
}
