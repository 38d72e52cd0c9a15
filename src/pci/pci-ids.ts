/**
 * Names from the PCI ID Repository's file pci.ids, as lspci prints them.
 *
 * The file has 40,000 lines and a host a few dozen ids, so for numbers to names only the headings
 * (vendors and base classes) are indexed, and of the rest the blocks that are asked for. Names to
 * numbers, for lspci texts without numbers, need an index of everything; it is built once.
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

/** A vendor or base class with the lines below it. */
interface Block {
  readonly name: string
  /** Where the line after its own starts, and where the next block does. */
  readonly start: number
  readonly end: number
}

type Entries = ReadonlyMap<number, string>

/** @param text the whole file; an empty text knows no names */
export function deviceNames(text: string): DeviceNames {
  let blocks: ReadonlyMap<string, Block> | undefined
  const entries = new Map<Block, Entries>()
  const names = new Map<number, string | null>()
  const block = (key: string): Block | undefined => {
    blocks ??= indexBlocks(text)
    return blocks.get(key)
  }
  const entry = (of: Block, id: number): string | undefined =>
    memo(entries, of, () => readEntries(text, of)).get(id)
  return {
    device: (vendor, device) =>
      memo(names, vendor * 0x10000 + device, () => {
        const of = block(hex(vendor, 4))
        if (of === undefined) return null
        return `${of.name} ${entry(of, device) ?? `Device ${hex(device, 4)}`}`
      }),
    className: (code) => {
      const of = block(`C ${hex(code >> 8, 2)}`)
      return of === undefined ? null : (entry(of, code & 0xff) ?? of.name)
    },
  }
}

function memo<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  const found = cache.get(key)
  if (found !== undefined) return found
  const made = make()
  cache.set(key, made)
  return made
}

const HEADING = /(?:C [0-9a-f]{2}|[0-9a-f]{4})(?= {2})/y
const ENTRY = /\t([0-9a-f]{2,4}) {2}/y

/**
 * One pass over the lines finds all headings. Searching the text for each id instead takes as long as
 * this whole pass, every time.
 */
function indexBlocks(text: string): ReadonlyMap<string, Block> {
  const found: { key: string; name: string; at: number; start: number }[] = []
  for (let at = 0; at < text.length; ) {
    const end = lineEnd(text, at)
    HEADING.lastIndex = at
    const key = HEADING.exec(text)?.[0]
    if (key !== undefined) {
      found.push({ key, name: text.slice(at + key.length, end).trim(), at, start: end + 1 })
    }
    at = end + 1
  }
  const blocks = new Map<string, Block>()
  found.forEach(({ key, name, start }, n) => {
    const end = found[n + 1]?.at ?? text.length
    // The first of two with one id counts, as for lspci.
    if (!blocks.has(key)) blocks.set(key, { name, start, end })
  })
  return blocks
}

function readEntries(text: string, { start, end }: Block): Entries {
  const entries = new Map<number, string>()
  for (let at = start; at < end; ) {
    const next = lineEnd(text, at)
    ENTRY.lastIndex = at
    const id = ENTRY.exec(text)?.[1]
    if (id !== undefined && !entries.has(parseInt(id, 16))) {
      entries.set(parseInt(id, 16), text.slice(ENTRY.lastIndex, next).trim())
    }
    at = next + 1
  }
  return entries
}

function lineEnd(text: string, start: number): number {
  const end = text.indexOf('\n', start)
  return end < 0 ? text.length : end
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
