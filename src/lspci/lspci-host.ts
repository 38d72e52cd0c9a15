/**
 * A Host made from lspci text. A text tells nothing about power, use or limits of the machine it
 * came from, so details and readiness are unknown, except for SR-IOV numbers where they are printed.
 */
import { type Fact, known, type UnknownFact, unknown } from '../base/fact.ts'
import type {
  DeviceDetails,
  Host,
  HostReadiness,
  HostSnapshot,
  PciFunction,
  SriovState,
} from '../isolation/host.ts'

/**
 * The Host port over a snapshot that came from text or a machine file.
 * @param why what to say of everything the source does not tell
 */
export function lspciHost(snapshot: HostSnapshot, why: string = 'lspci text does not say'): Host {
  const notSaid = unknown(why)
  const byAddress = new Map(snapshot.functions.map((fn) => [fn.address, fn]))
  return {
    snapshot: () => snapshot,
    details: (addresses) =>
      addresses.map((address) => details(address, byAddress.get(address) ?? null, notSaid)),
    readiness: () => readiness(notSaid),
  }
}

function readiness(notSaid: UnknownFact): HostReadiness {
  return {
    acpiTables: notSaid,
    cpuVendor: notSaid,
    cpuFlags: notSaid,
    machine: notSaid,
    uid: notSaid,
    memlock: notSaid,
    memory: notSaid,
    mayLockMemory: notSaid,
    vfioPciAvailable: notSaid,
  }
}

function details(address: string, fn: PciFunction | null, notSaid: UnknownFact): DeviceDetails {
  return {
    address,
    services: notSaid,
    driverOverride: notSaid,
    numaNode: notSaid,
    powerState: notSaid,
    runtimeStatus: notSaid,
    unit: notSaid,
    sriov: fn === null ? notSaid : sriovState(fn, notSaid),
    configHex: notSaid,
  }
}

/** Known when absent; what is printed of a present one lacks the driver's autoprobe setting. */
function sriovState(fn: PciFunction, notSaid: UnknownFact): Fact<SriovState | null> {
  const capability = fn.config.sriov
  return capability.known && capability.value === null ? known(null) : notSaid
}
