/**
 * Reads what a device line says after the address: class, names, ids, revision, interface.
 *
 *     PCI bridge [0604]: Intel Corporation ... Root Port #1 [8086:9d10] (rev f1) (prog-if 00 [...])
 *     0604: 8086:9d10 (rev f1)                                   lspci -n
 *     Class 0604: 8086:9d10 (rev f1)                             pciutils 2
 *     "PCI bridge" "Intel Corporation" "..." -rf1 "Dell" "..."   lspci -mm
 *
 * Ids that are not printed are looked up by name; a name that several devices bear stays unknown.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { PciIds } from '../isolation/host.ts'
import type { NameIndex } from '../pci/pci-ids.ts'

export interface DeviceHeader {
  readonly className: string | null
  readonly name: string | null
  /** Base class and sub-class: 0x0604. */
  readonly baseClass: Fact<number>
  /** Programming interface; null when the line does not print one. */
  readonly interfaceByte: number | null
  readonly vendor: Fact<number>
  readonly device: Fact<number>
  readonly revision: Fact<number>
  /** Only from machine-readable output; elsewhere it has a line of its own. */
  readonly subsystem: Fact<PciIds | null>
  /** Machine-readable output prints every interface byte that is not zero. */
  readonly printsInterface: boolean
}

/** The longest name in pci.ids has about 200 characters; a longer one is some other text. */
const MAX_NAME = 400

/** Classes that decide about grouping or are shown often, for hosts without a pci.ids. */
const CLASSES: ReadonlyMap<string, number> = new Map([
  ['Host bridge', 0x0600],
  ['ISA bridge', 0x0601],
  ['PCI bridge', 0x0604],
  ['CardBus bridge', 0x0607],
  ['Semi-transparent PCI-to-PCI bridge', 0x0609],
  ['Bridge', 0x0680],
  ['VGA compatible controller', 0x0300],
  ['3D controller', 0x0302],
  ['Display controller', 0x0380],
  ['Audio device', 0x0403],
  ['Ethernet controller', 0x0200],
  ['Network controller', 0x0280],
  ['RAID bus controller', 0x0104],
  ['SATA controller', 0x0106],
  ['Non-Volatile memory controller', 0x0108],
  ['USB controller', 0x0c03],
  ['SMBus', 0x0c05],
  ['IOMMU', 0x0806],
  ['System peripheral', 0x0880],
])

/** @param cut the line may have ended early: then only ids in brackets are taken */
export function parseHeader(header: string, cut: boolean, names: NameIndex | null): DeviceHeader {
  return header.startsWith('"') ? parseQuoted(header, cut, names) : parsePlain(header, cut, names)
}

function parsePlain(header: string, cut: boolean, names: NameIndex | null): DeviceHeader {
  const colon = header.indexOf(':')
  const left = (colon < 0 ? header : header.slice(0, colon)).replace(/^Class /, '').trim()
  const right = colon < 0 ? '' : header.slice(colon + 1).trim()
  const tail = right.search(/ ?\((?:rev|prog-if) /)
  const naming = tail < 0 ? right : right.slice(0, tail).trim()
  const revision = /\(rev ([0-9a-f]{2})\)/i.exec(right)
  const interfaceByte = /\(prog-if ([0-9a-f]{2})\b/i.exec(right)
  const cls = classOf(left, names)
  const ids = idsOf(naming, cut, names)
  return {
    className: cls.name,
    name: ids.name,
    baseClass: cls.code,
    interfaceByte: interfaceByte === null ? null : parseInt(interfaceByte[1] ?? '', 16),
    vendor: ids.vendor,
    device: ids.device,
    revision: revisionFrom(revision?.[1], cut),
    subsystem: unknown('this line of lspci does not hold the subsystem'),
    printsInterface: false,
  }
}

/** Machine-readable: class, vendor and device in quotes, options, subsystem vendor and device in quotes. */
function parseQuoted(header: string, cut: boolean, names: NameIndex | null): DeviceHeader {
  const quoted = [...header.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? '')
  const options = header.replace(/"[^"]*"/g, '')
  const cls = classOf(quoted[0] ?? '', names)
  const ids = fieldIds(quoted[1] ?? '', quoted[2] ?? '', names)
  const interfaceByte = / -p([0-9a-f]{2})\b/i.exec(options)
  const subVendor = quoted[3] ?? ''
  const subDevice = quoted[4] ?? ''
  return {
    className: cls.name,
    name: ids.name,
    baseClass: cls.code,
    interfaceByte: interfaceByte === null ? null : parseInt(interfaceByte[1] ?? '', 16),
    vendor: ids.vendor,
    device: ids.device,
    revision: revisionFrom(/ -r([0-9a-f]{2})\b/i.exec(options)?.[1], cut),
    subsystem: cut
      ? unknown('the text is cut off in this line')
      : subsystemFields(subVendor, subDevice, names),
    printsInterface: !cut,
  }
}

/** lspci prints a revision only when it is not zero. */
function revisionFrom(text: string | undefined, cut: boolean): Fact<number> {
  if (text !== undefined) return known(parseInt(text, 16))
  return cut ? unknown('the text is cut off in this line') : known(0)
}

function classOf(
  text: string,
  names: NameIndex | null,
): { name: string | null; code: Fact<number> } {
  const bare = /^\[?([0-9a-f]{4})\]?$/i.exec(text)
  if (bare !== null) return { name: null, code: known(parseInt(bare[1] ?? '', 16)) }
  const bracketed = /^(.*?) ?\[([0-9a-f]{4})\]$/i.exec(text)
  if (bracketed !== null) {
    return { name: bracketed[1] ?? null, code: known(parseInt(bracketed[2] ?? '', 16)) }
  }
  const code = CLASSES.get(text) ?? names?.classCode(text) ?? null
  const fact = code === null ? unknown(`no class number known for "${text}"`) : known(code)
  return { name: text === '' ? null : text, code: fact }
}

interface Ids {
  readonly name: string | null
  readonly vendor: Fact<number>
  readonly device: Fact<number>
}

function idsOf(text: string, cut: boolean, names: NameIndex | null): Ids {
  const bare = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text)
  const bracketed = bare ?? /^(.*?) ?\[([0-9a-f]{4}):([0-9a-f]{4})\]/i.exec(text)
  if (bracketed !== null) {
    const [vendor, device] = bracketed.slice(-2)
    const printed = bare === null ? (bracketed[1] ?? '') : ''
    const name = printed.endsWith('Device') ? `${printed} ${device ?? ''}` : printed
    return {
      name: name === '' || name.startsWith('Device ') ? null : name,
      vendor: known(parseInt(vendor ?? '', 16)),
      device: known(parseInt(device ?? '', 16)),
    }
  }
  if (cut) {
    const no = unknown('the text is cut off in this line')
    return { name: null, vendor: no, device: no }
  }
  return idsByName(text, names)
}

/** Resolves a printed name; "Device 9a09" inside it is a number that pci.ids had no name for. */
function idsByName(printed: string, names: NameIndex | null): Ids {
  // pciutils 2 wrote "Intel Corp. Unknown device 2448" and, for subsystems, "Intel Corp.: Unknown device 2448".
  const text = printed.replace(/:? Unknown device ([0-9a-f]{4})$/i, ' Device $1')
  const numbers = /^(?:Unknown )?[Dd]evice ([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text)
  if (numbers !== null) {
    return {
      name: null,
      vendor: known(parseInt(numbers[1] ?? '', 16)),
      device: known(parseInt(numbers[2] ?? '', 16)),
    }
  }
  if (printed.length > MAX_NAME) {
    const no = unknown('the text has no device name in this line')
    return { name: null, vendor: no, device: no }
  }
  const name = printed === '' ? null : printed
  if (names === null) {
    const no = unknown(
      'the text prints names without numbers and there is no pci.ids to look them up',
    )
    return { name, vendor: no, device: no }
  }
  const found = names.resolve(text)
  const no = unknown('the text prints names only, and pci.ids has no single device of this name')
  const literal = / Device ([0-9a-f]{4})$/.exec(text)
  return {
    name,
    vendor: found === null ? no : known(found.vendor),
    device:
      literal !== null
        ? known(parseInt(literal[1] ?? '', 16))
        : found === null || found.device === null
          ? no
          : known(found.device),
  }
}

/** "Intel Corporation [8086]" and "Root Port [9d10]", or bare numbers, or bare names. */
function fieldIds(vendor: string, device: string, names: NameIndex | null): Ids {
  const v = fieldNumber(vendor)
  const d = fieldNumber(device)
  const name = [v.name, d.name].filter((part) => part !== '').join(' ')
  if (v.number !== null && d.number !== null) {
    return { name: name === '' ? null : name, vendor: known(v.number), device: known(d.number) }
  }
  return idsByName(name, names)
}

function fieldNumber(text: string): { name: string; number: number | null } {
  const match = /^(?:(.*?) ?\[([0-9a-f]{4})\]|([0-9a-f]{4}))$/i.exec(text)
  if (match === null) return { name: text, number: null }
  return { name: match[1] ?? '', number: parseInt(match[2] ?? match[3] ?? '', 16) }
}

function subsystemFields(
  vendor: string,
  device: string,
  names: NameIndex | null,
): Fact<PciIds | null> {
  if (vendor === '' && device === '') return known(null)
  const v = fieldNumber(vendor)
  const d = fieldNumber(device)
  if (v.number !== null && d.number !== null) {
    return known({ vendor: v.number, device: d.number })
  }
  return parseSubsystem(`${vendor} ${device}`, names)
}

/**
 * The text after "Subsystem:". A name alone does not give the numbers: lspci prints the device's own
 * name where pci.ids has none for the subsystem, so only printed numbers count.
 */
export function parseSubsystem(text: string, names: NameIndex | null): Fact<PciIds | null> {
  const numbers =
    /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text) ??
    /\[([0-9a-f]{4}):([0-9a-f]{4})\]$/i.exec(text) ??
    /^(?:Unknown )?[Dd]evice ([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text)
  if (numbers !== null) {
    return known({ vendor: parseInt(numbers[1] ?? '', 16), device: parseInt(numbers[2] ?? '', 16) })
  }
  const literal = /^(.+?):? (?:Unknown d|D)evice ([0-9a-f]{4})$/.exec(text)
  if (literal === null)
    return unknown('the text names the subsystem without its numbers (lspci -nn prints them)')
  const device = parseInt(literal[2] ?? '', 16)
  const found = names?.resolve(`${literal[1] ?? ''} Device ${literal[2] ?? ''}`) ?? null
  return found === null
    ? unknown('the text names the subsystem without its numbers (lspci -nn prints them)')
    : known({ vendor: found.vendor, device })
}
