/** Lines about devices: address, driver, name and ids, in columns that fit the screen. */
import { hex } from '../../pci/address.ts'
import type { OtherDevice, PciFunction } from '../../isolation/host.ts'
import { type Screen, shorten } from '../screen.ts'
import { shortName } from './short-name.ts'

/** How devices are printed in one listing. */
export interface DeviceLayout {
  readonly screen: Screen
  readonly numeric: boolean
  /** Width of the driver column. */
  readonly driverWidth: number
}

/** A very long driver name may push its own line out of the column, not all the others. */
const DRIVER_WIDTH_MAX = 14

export function deviceLayout(
  screen: Screen,
  numeric: boolean,
  functions: readonly PciFunction[],
): DeviceLayout {
  let widest = 1
  for (const fn of functions) {
    const { length } = driverText(fn)
    if (length > widest && length <= DRIVER_WIDTH_MAX) widest = length
  }
  return { screen, numeric, driverWidth: widest }
}

/** "nvidia"; "-" when no driver is bound; "?" when that is unknown. */
export function driverText(device: PciFunction | OtherDevice): string {
  return device.driver.known ? (device.driver.value ?? '-') : '?'
}

/** "[10de:1b80]", unknown ids as question marks. */
export function idsText(fn: PciFunction): string {
  const vendor = fn.vendor.known ? hex(fn.vendor.value, 4) : '????'
  const device = fn.device.known ? hex(fn.device.value, 4) : '????'
  return `[${vendor}:${device}]`
}

/** The device's name, else its class, else nothing. */
export function nameText(fn: PciFunction): string {
  if (fn.name !== null) return fn.name
  if (fn.className !== null) return fn.className
  return fn.classCode.known ? `class ${hex(fn.classCode.value, 6)}` : ''
}

/** "0000:01:00.0  nvidia  GP104 [GeForce GTX 1080] [10de:1b80]" behind an indent. */
export function deviceLine(fn: PciFunction, layout: DeviceLayout, indent: string): string {
  const { screen, driverWidth } = layout
  const driver = driverText(fn).padEnd(driverWidth)
  const head = `${indent}${fn.address}  ${driver}  `
  const tail = labelText(fn, layout, head.length)
  return `${indent}${fn.address}  ${screen.paint(fn.driver.known ? 'cyan' : 'yellow', driver)}  ${tail}`
}

/** Name and ids, shortened to what is left of the line after `used` columns. */
export function labelText(fn: PciFunction, layout: DeviceLayout, used: number): string {
  const { screen, numeric } = layout
  const ids = idsText(fn)
  if (numeric) {
    const code = fn.classCode.known ? hex(fn.classCode.value, 6) : '??????'
    return `${code} ${screen.paint('dim', ids)}`
  }
  const room = screen.width === null ? null : Math.max(0, screen.width - used - ids.length - 1)
  const full = nameText(fn)
  const name = shorten(room === null ? full : shortName(full), room, screen.unicode)
  return name === '' ? screen.paint('dim', ids) : `${name} ${screen.paint('dim', ids)}`
}

/** A device that is no PCI function: "INTC1006:00  -  platform device". */
export function otherLine(other: OtherDevice, layout: DeviceLayout, indent: string): string {
  const bus = other.bus.known ? `${other.bus.value} device` : 'device on an unknown bus'
  const driver = driverText(other).padEnd(layout.driverWidth)
  return `${indent}${other.name}  ${layout.screen.paint('cyan', driver)}  ${bus}`
}
