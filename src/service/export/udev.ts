/**
 * A udev rule for each function: when a device with these ids appears in this place, driver_override is
 * written before modules are loaded for it.
 *
 * Ids alone would match a second card of the same kind, a place alone whatever is plugged in there next.
 * The rules come first (05-), because 80-drivers.rules loads the modules. They never unbind: a driver
 * that is built into the kernel, or loaded from an initramfs without the rules, keeps the device.
 */
import type { HostSnapshot } from '../../isolation/host.ts'
import { devicePathPattern } from './device-path.ts'
import {
  type ExportedDevice,
  type ExportedGroup,
  type ExportedText,
  idsOf,
  labelOf,
} from './exported-group.ts'

/** @throws IsogroupError refused when a device cannot be told apart from others for certain */
export function udevText(groups: readonly ExportedGroup[], snapshot: HostSnapshot): ExportedText {
  const rules = groups.flatMap((group) =>
    group.devices.map((device) => rule(device, group.driver, snapshot)),
  )
  const name = groups[0]?.devices[0]?.fn.address.replaceAll(':', '-') ?? ''
  return {
    text: `# Made by isogroup export udev: these devices get a VFIO driver when they appear.\n${rules.join('')}`,
    path: `/etc/udev/rules.d/05-isogroup-${name}.rules`,
    notes: [
      'drivers loaded from the initramfs are faster than the rules: put the rules into it as well (update-initramfs -u, dracut --force)',
      'a driver that already has a device keeps it; `isogroup export modprobe` makes modules wait',
      'to undo it, delete the file',
    ],
  }
}

function rule({ fn }: ExportedDevice, driver: string, snapshot: HostSnapshot): string {
  const { vendor, device, subsystem } = idsOf(fn)
  const matches = [
    'ACTION=="add"',
    'SUBSYSTEM=="pci"',
    `DEVPATH=="${devicePathPattern(fn, snapshot)}"`,
    `ATTR{vendor}=="0x${vendor}"`,
    `ATTR{device}=="0x${device}"`,
    ...(subsystem === null
      ? []
      : [
          `ATTR{subsystem_vendor}=="0x${subsystem.vendor}"`,
          `ATTR{subsystem_device}=="0x${subsystem.device}"`,
        ]),
  ]
  const doings = [
    `ATTR{driver_override}="${driver}"`,
    // For a device that appears when the driver is there already: offer it again.
    'ATTR{[subsystem/pci]drivers_probe}="$kernel"',
    `RUN{builtin}+="kmod load ${driver}"`,
  ]
  return `\n# ${labelOf(fn)}\n${matches.join(', ')}, \\\n  ${doings.join(', ')}\n`
}
