/**
 * <hostdev> elements for the <devices> of a libvirt domain (libvirt.org/formatdomain.html, "Host device
 * assignment").
 *
 * managed='no': the claim has put the group on its driver already and gives it back; libvirt must do
 * neither. Cards with several functions get an address in the guest, so that they stay one card; for
 * all others libvirt chooses. It adds the ports that an address needs.
 */
import { hex } from '../../pci/address.ts'
import {
  type ExportedDevice,
  type ExportedGroup,
  type ExportedText,
  addressOf,
} from './exported-group.ts'
import { type GuestFunction, guestPorts } from './placement.ts'

/** Bus of the first card with several functions: above what libvirt itself gives out in most domains. */
const FIRST_BUS = 0x20

export function libvirtText(groups: readonly ExportedGroup[]): ExportedText {
  let bus = FIRST_BUS
  const elements = guestPorts(groups).flatMap((port) =>
    port.slots.flatMap(({ functions }) => {
      const together = functions.length > 1
      const place = together ? bus++ : null
      return functions.map((fn) => hostdev(fn, place))
    }),
  )
  return {
    text: elements.join(''),
    path: null,
    notes: [
      'paste it between <devices> and </devices>: virsh edit DOMAIN',
      "managed='no' leaves binding to isogroup: claim the group before the domain starts",
      ...(bus === FIRST_BUS
        ? []
        : ['where the guest has these buses already, give the card another free bus']),
    ],
  }
}

function hostdev(fn: GuestFunction, bus: number | null): string {
  const lines = [
    "<hostdev mode='subsystem' type='pci' managed='no'>",
    "  <driver name='vfio'/>",
    '  <source>',
    `    ${sourceAddress(fn.device)}`,
    '  </source>',
    ...(bus === null ? [] : [`  ${guestAddress(bus, fn)}`]),
    '</hostdev>',
  ]
  return `${lines.join('\n')}\n`
}

function sourceAddress({ fn }: ExportedDevice): string {
  const at = addressOf(fn)
  return `<address domain='0x${hex(at.domain, 4)}' bus='0x${hex(at.bus, 2)}' slot='0x${hex(at.device, 2)}' function='0x${String(at.function)}'/>`
}

function guestAddress(bus: number, { function: number, multifunction }: GuestFunction): string {
  const more = multifunction ? " multifunction='on'" : ''
  return `<address type='pci' domain='0x0000' bus='0x${hex(bus, 2)}' slot='0x00' function='0x${String(number)}'${more}/>`
}
