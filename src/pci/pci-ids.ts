/**
 * Names from the PCI ID Repository's file pci.ids, as lspci prints them.
 *
 * The file has 40,000 lines and a host a few dozen ids, so nothing is parsed as a whole for numbers
 * to names: vendor blocks are found by searching the text. Names to numbers, for lspci texts without
 * numbers, do need an index; it is built once.
 *
 *     8086  Intel Corporation
 *     <tab>10d3  82574L Gigabit Network Connection
 *     C 02  Network controller
 *     <tab>00  Ethernet controller
 */
import { hex } from './address.ts'

export interface DeviceNames {
  /** "Intel Corporation 82574L Gigabit Network Connection"; null when not even the vendor is known. */
  device(vendor: number, device: number): string | null
  /** "Ethernet controller" for a base class and sub-class (0x0200); null when unknown. */
  className(code: number): string | null
}

/** Where distributions put the file, in the order of preference. */
export const PCI_IDS_PATHS = [
  '/usr/share/hwdata/pci.ids',
  '/usr/share/misc/pci.ids',
  '/usr/share/pci.ids',
  '/var/lib/pciutils/pci.ids',
  '/usr/local/share/pci.ids',
] as const

interface Block {
  readonly start: number
  readonly end: number
  readonly name: string
}

/** @param text the whole file; an empty text knows no names */
export function deviceNames(text: string): DeviceNames {
  const body = `\n${text}`
  const vendors = new Map<number, Block | null>()
  const devices = new Map<number, string | null>()
  const classes = new Map<number, string | null>()
  return {
    device: (vendor, device) =>
      memo(devices, vendor * 0x10000 + device, () => {
        const block = memo(vendors, vendor, () => findBlock(body, hex(vendor, 4)))
        if (block === null) return null
        const name = entryIn(body, block, hex(device, 4))
        return `${block.name} ${name ?? `Device ${hex(device, 4)}`}`
      }),
    className: (code) =>
      memo(classes, code, () => {
        const block = findBlock(body, `C ${hex(code >> 8, 2)}`)
        return block === null ? null : (entryIn(body, block, hex(code & 0xff, 2)) ?? block.name)
      }),
  }
}

function memo<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  const found = cache.get(key)
  if (found !== undefined) return found
  const made = make()
  cache.set(key, made)
  return made
}

const NEXT_BLOCK = /\n[0-9a-fC]/g

function findBlock(body: string, key: string): Block | null {
  const start = body.indexOf(`\n${key}  `)
  if (start < 0) return null
  NEXT_BLOCK.lastIndex = start + 1
  const end = NEXT_BLOCK.exec(body)?.index ?? body.length
  return { start, end, name: lineFrom(body, start + key.length + 3) }
}

function entryIn(body: string, block: Block, key: string): string | null {
  const found = body.indexOf(`\n\t${key}  `, block.start)
  return found < 0 || found >= block.end ? null : lineFrom(body, found + key.length + 4)
}

function lineFrom(body: string, start: number): string {
  const end = body.indexOf('\n', start)
  return body.slice(start, end < 0 ? body.length : end).trim()
}

/** The file with only the vendors and devices given (vendor << 16 | device) and all classes. */
export function prunePciIds(text: string, ids: ReadonlySet<number>): string {
  const vendors = new Set([...ids].map((id) => Math.floor(id / 0x10000)))
  const kept: string[] = []
  let vendor: number | null = null
  let inClasses = false
  for (const line of text.split('\n')) {
    const entry = /^(\t?)(C )?([0-9a-f]{2,4}) {2}/.exec(line)
    if (entry === null) continue
    const id = parseInt(entry[3] ?? '', 16)
    if (entry[2] !== undefined) inClasses = true
    else if (entry[1] === '') vendor = vendors.has(id) ? id : null
    const wanted =
      inClasses || (vendor !== null && (entry[1] === '' || ids.has(vendor * 0x10000 + id)))
    if (wanted) kept.push(line)
  }
  return `${kept.join('\n')}\n`
}

/** Names back to numbers. */
export interface NameIndex {
  /**
   * Ids for a vendor and device name as lspci joins them. The device is null when only the vendor is
   * certain (several devices bear the name, or none does); null when not even the vendor is.
   */
  resolve(name: string): { readonly vendor: number; readonly device: number | null } | null
  /** Base class and sub-class for a class name: 0x0604 for "PCI bridge"; null when unknown. */
  classCode(name: string): number | null
}

interface IndexedVendor {
  readonly id: number
  /** null for a name that several devices bear */
  readonly devices: Map<string, number | null>
}

export function nameIndex(text: string): NameIndex {
  const vendors = new Map<string, IndexedVendor[]>()
  const classes = new Map<string, number | null>()
  const baseClasses = new Map<string, number | null>()
  let vendor: IndexedVendor | null = null
  let baseClass: number | null = null
  for (const line of text.split('\n')) {
    const entry = /^(\t?)(C )?([0-9a-f]{2,4}) {2}(.+)$/.exec(line)
    if (entry === null) continue
    const id = parseInt(entry[3] ?? '', 16)
    const name = (entry[4] ?? '').trim()
    if (entry[2] !== undefined) {
      vendor = null
      baseClass = id
      remember(baseClasses, name, id << 8)
    } else if (entry[1] === '') {
      vendor = { id, devices: new Map() }
      const namesakes = vendors.get(name)
      if (namesakes === undefined) vendors.set(name, [vendor])
      else namesakes.push(vendor)
    } else if (vendor !== null) {
      remember(vendor.devices, name, id)
    } else if (baseClass !== null) {
      remember(classes, name, (baseClass << 8) | id)
    }
  }
  return {
    resolve: (name) => resolve(vendors, name),
    // lspci prints the sub-class, which often is called like its base class: "Network controller".
    classCode: (name) => classes.get(name) ?? baseClasses.get(name) ?? null,
  }
}

/** A second bearer of the same name makes it ambiguous. */
function remember<V>(map: Map<string, V | null>, name: string, value: V): void {
  map.set(name, map.has(name) ? null : value)
}

/**
 * Vendor names may be prefixes of one another, and one name may stand for two vendor ids: the longest
 * name of which exactly one vendor has exactly one such device wins.
 */
function resolve(
  vendors: ReadonlyMap<string, readonly IndexedVendor[]>,
  name: string,
): { vendor: number; device: number | null } | null {
  let longest: { vendor: number; device: null } | null = null
  for (let end = name.length; end > 0; end = name.lastIndexOf(' ', end - 1)) {
    const namesakes = vendors.get(name.slice(0, end)) ?? []
    const bearers = namesakes.filter((vendor) => vendor.devices.has(name.slice(end + 1)))
    const [bearer] = bearers
    const device = bearer?.devices.get(name.slice(end + 1)) ?? null
    if (bearer !== undefined && bearers.length === 1 && device !== null) {
      return { vendor: bearer.id, device }
    }
    const [vendor] = namesakes
    if (vendor !== undefined && namesakes.length === 1)
      longest ??= { vendor: vendor.id, device: null }
  }
  return longest
}
