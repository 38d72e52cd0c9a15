/**
 * Names of ids, taken apart again: snapshots hold "Intel Corporation 82574L" for a function, and a file
 * of names wants "Intel Corporation" for the vendor and "82574L" for the device. What all names of a
 * vendor begin with is its name; joined again the two always give the name they came from.
 */
import type { PciFunction } from '../isolation/host.ts'
import { vendorName } from '../model/files/names.ts'
import { hex } from '../pci/address.ts'

/** What twins have for a device id that is not known (twin-function.ts). */
const NO_ID = '0000'

/** Names by id: "8086", "8086:10d3" and, for classes, "C 0200". */
export function idNames(functions: readonly PciFunction[]): Readonly<Record<string, string>> {
  const names: Record<string, string> = {}
  const vendors = new Map<string, [id: string, name: string][]>()
  for (const { vendor, device, name, classCode, className } of functions) {
    if (classCode.known && className !== null) {
      names[`C ${hex(classCode.value >>> 8, 4)}`] = className
    }
    if (!vendor.known || name === null) continue
    const key = hex(vendor.value, 4)
    const devices = vendors.get(key) ?? []
    devices.push([device.known ? hex(device.value, 4) : NO_ID, name])
    vendors.set(key, devices)
  }
  for (const [vendor, devices] of vendors) {
    const prefix = vendorOf(
      vendor,
      devices.map(([, name]) => name),
    )
    names[vendor] = prefix
    for (const [id, name] of devices) {
      // Two devices of unknown ids would be shown with one name; "Device 10fa" is no name.
      const alone = id !== NO_ID || devices.filter((one) => one[0] === NO_ID).length === 1
      const own = name.slice(prefix.length + 1)
      if (alone && own !== `Device ${id}`) names[`${vendor}:${id}`] = own
    }
  }
  return names
}

/** What all names of a vendor begin with; the name that the model has for it where that fits. */
function vendorOf(vendor: string, names: readonly string[]): string {
  const usual = vendorName(vendor)
  if (usual !== undefined && names.every((name) => name.startsWith(`${usual} `))) return usual
  return commonWords(names)
}

/** The words that all texts begin with; at least one word, and never all of any text. */
function commonWords(texts: readonly string[]): string {
  const lists = texts.map((text) => text.replace(/ Device [0-9a-f]{4}$/, ' Device').split(' '))
  const [first = []] = lists
  let count = 0
  while (lists.every((words) => words.length > count + 1 && words[count] === first[count]))
    count += 1
  return first.slice(0, Math.max(count, 1)).join(' ')
}
