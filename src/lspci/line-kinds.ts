/**
 * Tells the lines of a pasted text apart: device lines, labelled detail lines, hex dump lines,
 * headings of group listings, and what is not lspci at all (kernel log, shell prompts, trees).
 *
 * A line that is none of these continues the line before it. That is how wrapped lines come
 * together again: lspci's own continuation lines and a mail program's are treated alike.
 * The formats are those of pciutils 2.1 to 3.14 (lspci.c, ls-caps.c, ls-ecaps.c, ls-kernel.c).
 */
import { type PciAddress, parseLooseAddress } from '../pci/address.ts'

export interface DeviceLine {
  readonly at: PciAddress
  /** What follows the address: class, names, ids. */
  readonly rest: string
}

const DEVICE = /^((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\s+(\S.*)$/i
const NUMERIC_CLASS = /^(?:Class )?\[?[0-9a-f]{4}\]?: ?/i
/** Class names have capitals or digits in front ("3D controller") and no colon inside. */
const NAMED_CLASS = /^[A-Z0-9][^:"]{0,80}:(?: |$)/

/** "00:1f.0 ISA bridge: ...", "0000:00:1f.0 0601: 8086:9d4e", '00:1f.0 "ISA bridge" "Intel" ...'. */
export function deviceLine(text: string): DeviceLine | null {
  const match = DEVICE.exec(text)
  if (match === null) return null
  const rest = match[2] ?? ''
  if (!rest.startsWith('"') && !NUMERIC_CLASS.test(rest) && !NAMED_CLASS.test(rest)) return null
  const at = parseLooseAddress(match[1] ?? '')
  return at === null ? null : { at, rest }
}

/** A group heading of the shell loops that people use: "IOMMU Group 7:" or "IOMMU Group 7 00:1f.0 ...". */
export function groupHeading(text: string): { group: string; rest: string } | null {
  const match = /^(?:IOMMU )?Group:? {0,4}(\d{1,6})\b:? {0,8}(.*)$/.exec(text)
  if (match === null) return null
  return { group: String(Number(match[1])), rest: match[2] ?? '' }
}

/** The line that begins a record of `lspci -vmm`: "Slot: 00:1f.0" ("Device:" before pciutils 2.2). */
export function recordStart(text: string): PciAddress | null {
  const match = /^(?:Slot|Device): {1,8}([0-9a-f:.]{7,16})$/i.exec(text)
  return match === null ? null : parseLooseAddress(match[1] ?? '')
}

/** A field of a `lspci -vmm` record. */
export function recordField(text: string): { key: string; value: string } | null {
  const match =
    /^(Class|Vendor|Device|SVendor|SDevice|Rev|ProgIf|Driver|Module|NUMANode|IOMMUGroup|PhySlot|DTNode): {0,8}(.*)$/.exec(
      text,
    )
  return match === null ? null : { key: match[1] ?? '', value: match[2] ?? '' }
}

/** "00: 86 80 ..." up to "ff0: ..."; a line may hold fewer than 16 bytes where a dump ends. */
export function hexLine(text: string): { offset: number; bytes: readonly number[] } | null {
  const match = /^([0-9a-f]{1,2}0): ((?:[0-9a-f]{2} ){0,15}[0-9a-f]{2})$/i.exec(text)
  if (match === null) return null
  const bytes = (match[2] ?? '').split(' ').map((byte) => parseInt(byte, 16))
  return { offset: parseInt(match[1] ?? '', 16), bytes }
}

const LABELS = [
  'Subsystem:',
  'DeviceName:',
  'Physical Slot:',
  'Device tree node:',
  'Control:',
  'Status:',
  'Flags:',
  'Latency:',
  'Latency$',
  'Interrupt:',
  'NUMA node',
  'IOMMU group',
  'BIST ',
  'Region \\d',
  '\\[virtual\\]',
  'Expansion ROM',
  'Memory at ',
  'I/O ports at ',
  'Bus: ',
  'I/O behind',
  'I/O window',
  'Memory behind',
  'Memory window',
  'Prefetchable memory',
  '16-bit legacy',
  'Secondary status:',
  'BridgeCtl:',
  'Capabilities:',
  'Kernel driver',
  'Kernel modules:',
  '!!! ',
  'DevCap',
  'DevCtl',
  'DevSta',
  'Device: Supported',
  'LnkC',
  'LnkSta',
  'Slt(?:Cap|Ctl|Sta)',
  'Root(?:Cap|Ctl|Sta|Cmd)',
  'ACSC(?:ap|tl):',
  'AF(?:Cap|Ctrl|Status):',
  'IOV(?:Cap|Ctl|Sta):',
  'Initial VFs:',
  'VF offset:',
  'VF Migration:',
  'Supported Page Size:',
  'UE(?:Sta|Msk|Svrt):',
  'CE(?:Sta|Msk):',
  'AERCap:',
  'HeaderLog:',
  'ARIC(?:ap|tl):',
  'ATSC(?:ap|tl):',
  'PASIDC(?:ap|tl):',
  'PRI(?:Ctl|Sta):',
  'L1Sub',
  'Dpc(?:Cap|Ctl|Sta):',
  'Vector table:',
  'Address: ',
]
const LABEL = new RegExp(`^(?:${LABELS.join('|')})`)

/** Whether the line begins one of lspci's own detail lines. */
export function isLabelled(text: string): boolean {
  return LABEL.test(text)
}

/** Lines that stand right below a device line. */
export function isFirstDetail(text: string): boolean {
  return /^(?:Subsystem: |Control: I\/O|Flags: [a-z])/.test(text)
}

/** Lines that end a device's details: kernel log, shell prompts, `lspci -t` trees. */
export function isForeign(text: string): boolean {
  return (
    /^(?:<\d>)?\[ {0,6}\d{1,7}\.\d{3,6}\]/.test(text) ||
    /^\[?[\w.-]{1,64}@[^\s$#%]{1,120}(?: [^\s$#%]{1,120})?\]?\s?[$#%] ?/.test(text) ||
    /^[$#%] /.test(text) ||
    /^[-+\\|][-+ [\\|]/.test(text)
  )
}

/** Lines that lspci itself prints on its error channel. */
export function isWarning(text: string): boolean {
  return /^(?:pcilib|lspci): /.test(text)
}

/** "[snip]", "[...]", "...": whoever pasted the text left something out here. */
export function isOmission(text: string): boolean {
  return /^[[<(]{0,2}(?:\.\.\.|…|snip|cut|trimmed|omitted)/i.test(text)
}
