/** A Linux host over any kernel: the running one, a recording, a model. */
import { IsogroupError } from '../base/errors.ts'
import type { Host, HostSnapshot } from '../isolation/host.ts'
import { KernelError, type KernelView } from '../kernel/kernel.ts'
import { type DeviceNames, deviceNames, PCI_IDS_PATHS } from '../pci/pci-ids.ts'
import { readDetails } from './details.ts'
import { listFunctions, readFunctions } from './functions.ts'
import { readGroups } from './groups.ts'
import { readInterruptChips } from './interrupts.ts'
import { type ListedFunction, placeBuses } from './parents.ts'
import { readReadiness } from './readiness.ts'
import { readText, required } from './reading.ts'
import { readServices } from './services.ts'
import { readUnits } from './units.ts'
import { readVfio } from './vfio.ts'

const RELEASE = '/proc/sys/kernel/osrelease'
const COMMAND_LINE = '/proc/cmdline'
const PCI_IDS_BYTES = 16 * 1024 * 1024

/**
 * @param source what a person should read about where this comes from: "this host"
 * @param fallbackNames pci.ids of the machine isogroup runs on, for hosts that bring none
 * @throws IsogroupError from snapshot(): permission or no-source, when the functions cannot be listed
 */
export function linuxHost(
  kernel: KernelView,
  source: string,
  fallbackNames: () => string = () => '',
): Host {
  let names: DeviceNames | undefined
  const readNames = (): DeviceNames => {
    names ??= deviceNames(pciIdsText(kernel) ?? fallbackNames())
    return names
  }
  return {
    snapshot: () => readSnapshot(kernel, source, readNames),
    details: (addresses) => {
      const services = readServices(kernel)
      return addresses.map((address) => readDetails(kernel, address, services))
    },
    readiness: () => readReadiness(kernel, required(readText(kernel, RELEASE), RELEASE)),
  }
}

/** The text of the first pci.ids there is; null when there is none. */
export function pciIdsText(kernel: KernelView): string | null {
  for (const path of PCI_IDS_PATHS) {
    if (!kernel.exists(path)) continue
    const text = readText(kernel, path, PCI_IDS_BYTES)
    if (text.known && text.value !== null) return text.value
  }
  return null
}

function listOrRefuse(kernel: KernelView): ListedFunction[] {
  try {
    return listFunctions(kernel)
  } catch (cause) {
    if (!(cause instanceof KernelError)) throw cause
    const denied = cause.code === 'EACCES' || cause.code === 'EPERM'
    throw new IsogroupError(
      denied ? 'permission' : 'no-source',
      `cannot list ${cause.path}: ${cause.code}`,
      denied ? 'Run it as a user who may look into /sys.' : 'Check that /sys is mounted.',
      { cause },
    )
  }
}

function readSnapshot(kernel: KernelView, source: string, names: () => DeviceNames): HostSnapshot {
  const listed = listOrRefuse(kernel)
  const placement = placeBuses(kernel, listed)
  const { groups, otherDevices, groupOf } = readGroups(
    kernel,
    listed.map((fn) => fn.address),
  )
  return {
    source,
    kernelRelease: required(readText(kernel, RELEASE), RELEASE),
    commandLine: required(readText(kernel, COMMAND_LINE), COMMAND_LINE),
    functions: readFunctions(kernel, listed, placement, groupOf, names),
    hostedBuses: placement.hostedBuses,
    groups,
    otherDevices,
    units: readUnits(kernel),
    interruptChips: readInterruptChips(kernel),
    vfio: readVfio(kernel),
  }
}
