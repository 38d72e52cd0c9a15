/**
 * What the host does with some functions now, for the safety checks: each list a fact of its own, so that what
 * could not be looked at is unknown and not nothing.
 */
import { type Fact, known, mapFact, unknown } from '../../base/fact.ts'
import type { DeviceUsage, Programs } from '../../isolation/live-host.ts'
import type { KernelView } from '../../kernel/kernel.ts'
import { readSriov } from '../details.ts'
import { disksOf, readDisks } from './disks.ts'
import { displaysOf, readDisplays } from './displays.ts'
import { keyboardsOf, readKeyboards } from './keyboards.ts'
import { loginsOf, networksOf, readNetworks } from './networks.ts'

export interface UsageEnvironment {
  /** SSH_CONNECTION of the caller: "10.0.0.5 50022 10.0.0.1 22"; null when it has none (sudo drops it). */
  readonly sshConnection: string | null
  readonly holdersOf: Programs['holdersOf']
}

/** Everything about the host is read once, however many functions are asked for. */
export function readUsage(
  kernel: KernelView,
  addresses: readonly string[],
  { sshConnection, holdersOf }: UsageEnvironment,
): readonly DeviceUsage[] {
  if (addresses.length === 0) return []
  const disks = readDisks(kernel)
  const networks = readNetworks(kernel, sshConnection)
  const displays = readDisplays(kernel)
  const keyboards = readKeyboards(kernel)
  const holders = holdersOf(addresses)
  return addresses.map((address) => ({
    address,
    disks: disks.known ? disksOf(address, disks.value) : disks,
    networks: networks.known ? networksOf(kernel, address, networks.value) : networks,
    displays: displays.known ? displaysOf(kernel, address, displays.value) : displays,
    keyboards: mapFact(keyboards, (all) => keyboardsOf(address, all)),
    logins: mapFact(networks, (all) => loginsOf(address, all)),
    programs: holders(address),
    virtualFunctions: virtualFunctionsOf(kernel, address),
  }))
}

function virtualFunctionsOf(kernel: KernelView, address: string): Fact<readonly string[]> {
  const sriov = readSriov(kernel, `/sys/bus/pci/devices/${address}`)
  if (!sriov.known) return sriov
  const { numVfs, virtualFunctions } = sriov.value ?? { numVfs: 0, virtualFunctions: [] }
  if (virtualFunctions.length >= numVfs) return known(virtualFunctions)
  return unknown(`${String(numVfs)} are switched on, but not all of them were found`)
}
