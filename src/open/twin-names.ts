/**
 * Names of ids, taken apart again: snapshots hold "Intel Corporation 82574L" for a function, and a file
 * of names wants "Intel Corporation" for the vendor and "82574L" for the device. What all names of a
 * vendor begin with is its name; joined again the two always give the name they came from.
 */
import type { PciFunction } from '../isolation/host.ts'
import { hex } from '../pci/address.ts'

/** Names by id: "8086", "8086:10d3" and, for classes, "C 02" and "C 0200". */
export function idNames(functions: readonly PciFunction[]): Readonly<Record<string, string>> {
  const names: Record<string, string> = {}
  const vendors = new Map<string, Map<string, string>>()
  for (const { vendor, device, name, classCode, className } of functions) {
    if (classCode.known && className !== null) {
      names[`C ${hex(classCode.value >>> 8, 4)}`] = className
    }
    if (!vendor.known || !device.known || name === null) continue
    const key = hex(vendor.value, 4)
    const devices = vendors.get(key) ?? new Map<string, string>()
    devices.set(hex(device.value, 4), name)
    vendors.set(key, devices)
  }
  for (const [vendor, devices] of vendors) {
    const prefix = commonWords([...devices.values()])
    names[vendor] = prefix
    for (const [device, name] of devices)
      names[`${vendor}:${device}`] = name.slice(prefix.length + 1)
  }
  return names
}

/** The words that all texts begin with; at least one word, and never all of any text. */
function commonWords(texts: readonly string[]): string {
  const lists = texts.map((text) => text.split(' '))
  const [first = []] = lists
  let count = 0
  while (lists.every((words) => words.length > count + 1 && words[count] === first[count]))
    count += 1
  return first.slice(0, Math.max(count, 1)).join(' ')
}
