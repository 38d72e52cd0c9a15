/** Hosts and requests for the tests of this folder: everything is free and strong unless said otherwise. */
import { type Fact, known } from '../../base/fact.ts'
import { READY, snapshotOf, type TestHost } from '../assess/assess.case.ts'
import type { DeviceDetails, HostReadiness, HostService, HostSnapshot } from '../host.ts'
import type { DeviceUsage, LiveHost, Program } from '../live-host.ts'
import type { DeviceState, GroupState, NodeState } from '../transaction/state.ts'
import { readPlanFacts } from './facts.ts'
import { findingsOf, makePlan, type Plan } from './plan.ts'
import type { ClaimRequest, HeldClaim } from './request.ts'

export interface PlanHost extends TestHost {
  readonly usage?: Readonly<Record<string, Partial<DeviceUsage>>>
  readonly services?: Readonly<Record<string, readonly HostService[]>>
  readonly states?: Readonly<Record<string, Partial<DeviceState>>>
  readonly node?: NodeState | null
  readonly users?: Fact<readonly Program[]>
  readonly readiness?: Partial<HostReadiness>
  readonly memlock?: Fact<number | null>
  readonly drivers?: readonly string[]
  readonly claims?: readonly HeldClaim[]
}

/** A graphics card with sound (group 1) behind a good port, and a disk (group 2) behind another. */
export const PC: PlanHost = {
  functions: [
    {
      at: '0000:00:01.0',
      type: 4,
      acs: [0x5f, 0x1d],
      classCode: 0x060400,
      driver: 'pcieport',
      group: '0',
    },
    {
      at: '0000:00:02.0',
      type: 4,
      acs: [0x5f, 0x1d],
      classCode: 0x060400,
      driver: 'pcieport',
      group: '3',
    },
    {
      at: '0000:01:00.0',
      parent: '0000:00:01.0',
      classCode: 0x030000,
      driver: 'nvidia',
      group: '1',
      multifunction: true,
    },
    {
      at: '0000:01:00.1',
      parent: '0000:00:01.0',
      classCode: 0x040300,
      driver: 'snd_hda_intel',
      group: '1',
      multifunction: true,
    },
    { at: '0000:02:00.0', parent: '0000:00:02.0', classCode: 0x010802, driver: 'nvme', group: '2' },
  ],
  chips: known(['IR-PCI-MSIX-0000:01:00.0']),
  vfio: { nodes: known(['vfio']) },
}

export const GPU = '0000:01:00.0'
export const SOUND = '0000:01:00.1'
export const DISK = '0000:02:00.0'

export const ALICE = { uid: 1000, gid: 1000, name: 'alice' }

export function request(
  targets: readonly string[],
  more: Partial<ClaimRequest> = {},
): ClaimRequest {
  return {
    targets: targets.map((target) => [target]),
    driver: 'vfio-pci',
    owner: null,
    reason: null,
    allow: [],
    confirmSeconds: null,
    ...more,
  }
}

function freeUsage(address: string): DeviceUsage {
  return {
    address,
    disks: known([]),
    networks: known([]),
    displays: known([]),
    keyboards: known({ here: [], elsewhere: ['event2'] }),
    logins: known({ here: [], elsewhere: ['eth0'] }),
    programs: known([]),
    virtualFunctions: known([]),
  }
}

export function liveHost(host: PlanHost): LiveHost {
  const snapshot = snapshotOf(host)
  const never = (): never => {
    throw new Error('a plan only looks')
  }
  return {
    source: snapshot.source,
    snapshot: () => snapshot,
    details: (addresses) => addresses.map((address) => detailsOf(address, host)),
    readiness: () => ({ ...READY, ...host.readiness }),
    state: (addresses) => stateOf(addresses, snapshot, host),
    usage: (addresses) =>
      addresses.map((address) => ({ ...freeUsage(address), ...host.usage?.[address] })),
    groupsOf: never,
    contexts: () => known([]),
    programs: () => ({
      usersOf: () => host.users ?? known([]),
      holdersOf: () => () => known([]),
    }),
    memlock: () => host.memlock ?? known(null),
    hasDriver: (driver) => (host.drivers ?? ['vfio-pci']).includes(driver),
    expectActions: never,
    perform: never,
    writesOf: never,
    stuckEvidence: never,
    identities: never,
    loadDriver: never,
    accounts: never,
    bootId: never,
    watch: never,
  }
}

function detailsOf(address: string, host: PlanHost): DeviceDetails {
  return {
    address,
    services: known(host.services?.[address] ?? []),
    driverOverride: known(null),
    numaNode: known(null),
    powerState: known('D0'),
    runtimeStatus: known('active'),
    unit: known(null),
    sriov: known(null),
    configHex: known(''),
  }
}

function stateOf(addresses: readonly string[], snapshot: HostSnapshot, host: PlanHost): GroupState {
  const functions = addresses.map((address) =>
    snapshot.functions.find((fn) => fn.address === address),
  )
  const group = functions[0]?.group
  return {
    group: group?.known === true ? group.value : null,
    devices: addresses.map((address, index) => {
      const driver = functions[index]?.driver
      return {
        address,
        present: true,
        driver: driver?.known === true ? driver.value : null,
        override: null,
        autoprobe: null,
        ...host.states?.[address],
      }
    }),
    node: host.node ?? null,
  }
}

export function planOf(asked: ClaimRequest, host: PlanHost = PC): Plan {
  return makePlan(asked, readPlanFacts(liveHost(host), asked, host.claims ?? []))
}

/** "CLAIM-OPEN refuse 0000:01:00.0" of every finding. */
export function codesOf(plan: Plan): readonly string[] {
  return findingsOf(plan).map(({ code, verdict, about }) =>
    [code, verdict, ...about.slice(0, 1)].join(' '),
  )
}

/** The functions of a host, one of them with another driver. */
export function withDriver(host: PlanHost, address: string, driver: string | null): PlanHost {
  return {
    ...host,
    functions: host.functions.map((fn) => (fn.at === address ? { ...fn, driver } : fn)),
  }
}
