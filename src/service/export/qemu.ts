/**
 * Arguments for qemu-system-*: a port for each card, and the functions of the group on it.
 *
 *     -device pcie-root-port,id=isogroup1,chassis=101
 *     -device vfio-pci,host=0000:01:00.0,bus=isogroup1,addr=00.0,multifunction=on
 *
 * Ports need a machine with PCI Express (-machine q35, virt). Chassis numbers tell ports apart and
 * must differ from those of other ports (QEMU docs/pcie.txt); they begin at 101 to stay out of the way.
 */
import type { ExportedGroup, ExportedText } from './exported-group.ts'
import { type GuestFunction, type GuestPort, guestPorts } from './placement.ts'

const FIRST_CHASSIS = 101

export function qemuText(groups: readonly ExportedGroup[]): ExportedText {
  const args = guestPorts(groups).flatMap(portArguments)
  const last = args.length - 1
  return {
    text: args.map((arg, index) => `-device ${arg}${index === last ? '' : ' \\'}\n`).join(''),
    path: null,
    notes: [
      'the arguments are for a machine with PCI Express: -machine q35 on x86, virt on ARM',
      'QEMU locks all memory of the guest: its memlock limit must be larger than the memory given with -m',
    ],
  }
}

function portArguments(port: GuestPort, index: number): readonly string[] {
  const id = `isogroup${String(index + 1)}`
  const chassis = String(FIRST_CHASSIS + index)
  const root = `pcie-root-port,id=${id},chassis=${chassis}`
  if (port.kind === 'express') {
    return [root, ...port.slots.flatMap((slot) => slotArguments(id, slot.slot, slot.functions))]
  }
  const bridge = `${id}pci`
  return [
    root,
    `pcie-pci-bridge,id=${bridge},bus=${id}`,
    ...port.slots.flatMap((slot) => slotArguments(bridge, slot.slot, slot.functions)),
  ]
}

function slotArguments(
  bus: string,
  slot: number,
  functions: readonly GuestFunction[],
): readonly string[] {
  return functions.map(({ device, function: number, multifunction }) => {
    const place = `${slot.toString(16).padStart(2, '0')}.${String(number)}`
    const more = multifunction ? ',multifunction=on' : ''
    return `vfio-pci,host=${device.fn.address},bus=${bus},addr=${place}${more}`
  })
}
