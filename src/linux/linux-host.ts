/** A Linux host over any kernel: the running one, a recording, a model. */
import type { Host, HostSnapshot } from '../isolation/host.ts'
import type { KernelView } from '../kernel/kernel.ts'
import { type DeviceNames, deviceNames, PCI_IDS_PATHS } from '../pci/pci-ids.ts'
import { readDetails } from './details.ts'
import { listFunctions, readFunctions } from './functions.ts'
import { readGroups } from './groups.ts'
import { readInterruptChips } from './interrupts.ts'
import { placeBuses } from './parents.ts'
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
 * @throws KernelError when there is no /sys/bus/pci/devices
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

function readSnapshot(kernel: KernelView, source: string, names: () => DeviceNames): HostSnapshot {
  const listed = listFunctions(kernel)
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
