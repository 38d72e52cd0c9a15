/**
 * modprobe configuration: vfio-pci is told the ids of the devices, and the modules that would take them
 * wait until it is loaded (modprobe.d(5): options, softdep).
 *
 * The option knows ids only, not places. It is refused when anything outside the groups has the same
 * ids: a second card, or the disk the host boots from.
 */
import { IsogroupError } from '../../base/errors.ts'
import type { HostSnapshot, PciFunction } from '../../isolation/host.ts'
import { type ExportedGroup, type ExportedText, idsOf, labelOf } from './exported-group.ts'

/** Drivers whose module has another name. Others have the name of their module. */
const MODULE_OF: Readonly<Record<string, string>> = {
  xhci_hcd: 'xhci_pci',
  'ehci-pci': 'ehci_pci',
  'ohci-pci': 'ohci_pci',
}

/** Only this driver takes ids as a parameter of its module. */
const DRIVER = 'vfio-pci'

/** @throws IsogroupError refused: another device has the same ids, or the driver takes none */
export function modprobeText(
  groups: readonly ExportedGroup[],
  snapshot: HostSnapshot,
): ExportedText {
  const other = groups.find((group) => group.driver !== DRIVER)
  if (other !== undefined) {
    throw new IsogroupError(
      'refused',
      `${other.driver} takes no ids from modprobe: only ${DRIVER} does`,
      'isogroup export udev does it for every driver',
    )
  }
  const devices = groups.flatMap((group) => group.devices)
  const inside = new Set(devices.map(({ fn }) => fn.address))
  for (const { fn } of devices) checkAlone(fn, inside, snapshot)
  const ids = [...new Set(devices.map(({ fn }) => idsText(fn)))]
  const modules = new Set(
    devices.flatMap(({ homeDriver }) => (homeDriver === null ? [] : [moduleOf(homeDriver)])),
  )
  modules.delete(DRIVER)
  const lines = [
    '# Made by isogroup export modprobe: vfio-pci takes these devices when it is loaded.',
    ...devices.map(({ fn }) => `# ${labelOf(fn)} [${idsText(fn)}]`),
    `options ${DRIVER} ids=${ids.join(',')}`,
    ...[...modules].sort().map((name) => `softdep ${name} pre: ${DRIVER}`),
  ]
  return {
    text: `${lines.join('\n')}\n`,
    path: '/etc/modprobe.d/isogroup.conf',
    notes: [
      'the last `options vfio-pci ids=` line wins: give all groups to one export, and keep one file',
      'rebuild the initramfs afterwards: update-initramfs -u, dracut --force',
      'a driver that is built into the kernel does not wait; `isogroup export udev` is the other way',
      'to undo it, delete the file and rebuild the initramfs',
    ],
  }
}

/** "10de:1b80:1462:3362", as vfio-pci parses it (drivers/vfio/pci/vfio_pci.c, vfio_pci_fill_ids). */
function idsText(fn: PciFunction): string {
  const { vendor, device, subsystem } = idsOf(fn)
  const under = subsystem === null ? '' : `:${subsystem.vendor}:${subsystem.device}`
  return `${vendor}:${device}${under}`
}

function moduleOf(driver: string): string {
  return (MODULE_OF[driver] ?? driver).replaceAll('-', '_')
}

function checkAlone(fn: PciFunction, inside: ReadonlySet<string>, snapshot: HostSnapshot): void {
  const ids = idsText(fn)
  const twin = snapshot.functions.find((it) => !inside.has(it.address) && mayMatch(it, fn))
  if (twin === undefined) return
  throw new IsogroupError(
    'refused',
    `${twin.address} has the ids of ${fn.address} (${ids}), or they are unknown: vfio-pci would take both`,
    'isogroup export udev matches the place as well',
  )
}

/** Whether vfio-pci would take `it` by the ids of `fn`; what is unknown could match. */
function mayMatch(it: PciFunction, fn: PciFunction): boolean {
  const { vendor, device, subsystem } = idsOf(fn)
  const differs = (fact: PciFunction['vendor'], want: string): boolean =>
    fact.known && fact.value !== parseInt(want, 16)
  if (differs(it.vendor, vendor) || differs(it.device, device)) return false
  if (subsystem === null || !it.subsystem.known) return true
  const under = it.subsystem.value
  return (
    under !== null &&
    under.vendor === parseInt(subsystem.vendor, 16) &&
    under.device === parseInt(subsystem.device, 16)
  )
}
