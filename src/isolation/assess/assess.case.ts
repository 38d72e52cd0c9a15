/** Hosts for the tests of this folder: described functions, with the facts that assessment adds. */
import { type Fact, known, unknown } from '../../base/fact.ts'
import { rulesFor } from '../groups/rules.ts'
import type {
  HostGroup,
  HostReadiness,
  HostSnapshot,
  IommuUnit,
  OtherDevice,
  PciFunction,
  VfioFacts,
} from '../host.ts'
import { type DescribedHost, describeSnapshot } from '../snapshot.case.ts'
import { buildTopology } from '../topology/topology.ts'
import { type AssessedGroup, type Assessment, assess } from './assess.ts'

export interface TestHost extends DescribedHost {
  /** Changes to groups, by id. */
  readonly groupFacts?: Readonly<Record<string, Partial<HostGroup>>>
  readonly chips?: Fact<readonly string[]>
  readonly units?: readonly IommuUnit[]
  readonly vfio?: Partial<VfioFacts>
  readonly others?: readonly OtherDevice[]
  /** Changes to functions, by address. */
  readonly functionFacts?: Readonly<Record<string, Partial<PciFunction>>>
}

/** Bridges by class get the header type of bridges; the rest is as described. */
export function snapshotOf(host: TestHost): HostSnapshot {
  const plain = describeSnapshot({ kernel: '6.12.0', ...host })
  const groups = plain.groups.known ? plain.groups.value : []
  return {
    ...plain,
    functions: plain.functions.map((fn) => ({
      ...withHeader(fn),
      ...host.functionFacts?.[fn.address],
    })),
    groups: known(groups.map((group) => ({ ...group, ...host.groupFacts?.[group.id] }))),
    otherDevices: host.others ?? [],
    units: known(host.units ?? []),
    interruptChips: host.chips ?? known([]),
    vfio: { ...plain.vfio, ...host.vfio },
  }
}

function withHeader(fn: PciFunction): PciFunction {
  const isBridge = fn.classCode.known && fn.classCode.value >>> 8 === 0x0604
  return isBridge ? { ...fn, config: { ...fn.config, headerType: known(1) } } : fn
}

export function assessSnapshot(snapshot: HostSnapshot): Assessment {
  return assess(snapshot, buildTopology(snapshot), rulesFor(snapshot, null))
}

/** One assessed group of a host. */
export function groupIn(host: TestHost, id: string): AssessedGroup {
  return pick(assessSnapshot(snapshotOf(host)), id)
}

export function pick({ groups }: Assessment, id: string): AssessedGroup {
  const found = groups.find((group) => group.id === id)
  if (found === undefined) throw new Error(`the host has no group ${id}`)
  return found
}

export const NOT_READ: Fact<never> = unknown('permission denied')

/** A PC on which nothing is missing. */
export const READY: HostReadiness = {
  acpiTables: known(['APIC', 'DMAR']),
  cpuVendor: known('GenuineIntel'),
  cpuFlags: known(['vmx']),
  machine: known('x86_64'),
  uid: known(0),
  memlock: known(null),
  memory: known(32 * 2 ** 30),
  mayLockMemory: known(true),
  vfioPciAvailable: known(true),
}

/** A root port with ACS, its card, interrupts remapped, VFIO loaded. */
export const GOOD_HOST: TestHost = {
  commandLine: 'quiet intel_iommu=on',
  functions: [
    { at: '0000:00:01.0', type: 4, acs: [0x5f, 0x1d], classCode: 0x060400, group: '0' },
    { at: '0000:01:00.0', parent: '0000:00:01.0', group: '1' },
  ],
  chips: known(['DMAR-MSI', 'IR-IO-APIC', 'IR-PCI-MSIX-0000:01:00.0']),
  units: [{ name: 'dmar0', kind: 'intel', attributes: { cap: 'd2008c40660462', ecap: 'f00f4a' } }],
  vfio: {
    modules: known(['vfio', 'vfio_iommu_type1', 'vfio_pci']),
    parameters: {
      'vfio_iommu_type1.allow_unsafe_interrupts': 'N',
      'vfio_iommu_type1.dma_entry_limit': '65535',
    },
    nodes: known(['vfio']),
  },
}
