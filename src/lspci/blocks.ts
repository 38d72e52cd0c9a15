/**
 * Cuts a cleaned text into blocks, one for each time a device is printed, and joins wrapped lines.
 *
 *     00:1c.0 PCI bridge: ...        block.header   (after the address)
 *             Capabilities: [40] ... block.lines    (one for each label, continuations joined)
 *     00: 86 80 ...                  block.hex
 *
 * A block ends at an empty line, the next device, a prompt or kernel log. What follows is taken up
 * again only by the next device line, since it could belong to anything.
 */
import { compareAddresses, formatAddress, type PciAddress } from '../pci/address.ts'
import {
  deviceLine,
  groupHeading,
  hexLine,
  isFirstDetail,
  isForeign,
  isLabelled,
  isOmission,
  isWarning,
  recordField,
  recordStart,
} from './line-kinds.ts'
import type { CleanText, TextLine } from './text-lines.ts'

export interface Block {
  readonly at: PciAddress
  readonly address: string
  /** Class, names and ids as printed after the address; quoted fields for machine-readable output. */
  readonly header: string
  /** The device line may have been cut off: only what is bracketed can be trusted. */
  readonly headerCut: boolean
  readonly lines: readonly string[]
  readonly hex: readonly number[]
  /** The text shows where the block ends, so a line that is not there was not printed. */
  readonly whole: boolean
  /** Group number from the heading of a group listing. */
  readonly heading: string | null
  /** Counts the runs of lspci in the text. */
  readonly run: number
  /** Why other devices may be missing right after this one; null when there is no sign of it. */
  readonly gapAfter: string | null
}

interface OpenBlock {
  at: PciAddress
  header: string
  headerCut: boolean
  lines: string[]
  hex: number[]
  whole: boolean
  heading: string | null
  gapAfter: string | null
  /** Lines below the device line that may continue it, with whether they could have been wrapped off. */
  tail: { text: string; wrapped: boolean }[]
  /** Width of the last line of the header. */
  width: number
  fields: Map<string, string> | null
}

/** More than this in one joined line is no line of lspci. */
const MAX_JOINED = 4000
/** A program that wraps lines does not do so before this column. */
const WRAP_COLUMN = 58
/** Lines that a device line may be broken into. */
const MAX_TAIL = 4

const ORPHAN = 'the text goes on with details of a device whose own line is missing'
const OMISSION = 'the text leaves something out after this device'

/** Reads all blocks in order of appearance. Linear in the number of lines; never throws. */
export function readBlocks(text: CleanText): readonly Block[] {
  const done: OpenBlock[] = []
  let open: OpenBlock | null = null
  let heading: string | null = null
  const close = (whole: boolean): void => {
    if (open === null) return
    open.whole = whole
    joinHeader(open)
    done.push(open)
    open = null
  }
  const gap = (why: string): void => {
    const before = done.at(-1)
    if (before !== undefined) before.gapAfter = why
  }
  text.lines.forEach((line, i) => {
    const cut = i === text.lines.length - 1 && !text.endsWithLine
    const listed = groupHeading(line.text)
    if (listed !== null && listed.rest === '') {
      close(true)
      heading = listed.group
      return
    }
    const started = startBlock(listed?.rest ?? line.text, line.width, listed?.group ?? heading)
    if (started !== null) {
      close(true)
      open = started
      open.headerCut = cut
    } else if (line.text === '' || isForeign(line.text)) {
      close(true)
      heading = null
    } else if (isOmission(line.text)) {
      if (open?.lines.length === 0) open.headerCut = true
      close(false)
      gap(OMISSION)
    } else if (open === null) {
      if (isFirstDetail(line.text)) gap(ORPHAN)
    } else if (isOrphan(open, line.text)) {
      close(true)
      gap(ORPHAN)
    } else if (!isWarning(line.text)) {
      takeLine(open, line, cut)
    }
  })
  close(false)
  return numberRuns(done.map(withRecordFields))
}

function startBlock(text: string, width: number, heading: string | null): OpenBlock | null {
  const record = recordStart(text)
  const device = record === null ? deviceLine(text) : { at: record, rest: '' }
  if (device === null) return null
  return {
    at: device.at,
    header: device.rest,
    headerCut: false,
    lines: [],
    hex: [],
    whole: false,
    heading,
    gapAfter: null,
    tail: [],
    width,
    fields: record === null ? null : new Map(),
  }
}

/** The first details of a device again, inside a block: the line of the next device is missing. */
function isOrphan(block: OpenBlock, text: string): boolean {
  if (!isFirstDetail(text)) return false
  return block.lines.some(
    (line) => /^(?:Capabilities|Kernel)/.test(line) || line.slice(0, 9) === text.slice(0, 9),
  )
}

function takeLine(block: OpenBlock, line: TextLine, cut: boolean): void {
  const field = block.fields === null ? null : recordField(line.text)
  if (block.fields !== null && field !== null) {
    if (!cut) block.fields.set(field.key, field.value)
    return
  }
  const dump = hexLine(line.text)
  if (dump !== null) {
    // A dump is one piece from 0; a gap means that lines are missing, and nothing after it is placed.
    if (dump.offset === block.hex.length && (!cut || dump.bytes.length === 16)) {
      for (const byte of dump.bytes) block.hex.push(byte)
    }
    return
  }
  // A last line without its end may be cut in the middle of a number: it proves nothing.
  if (cut) {
    if (!isLabelled(line.text) && block.lines.length === 0) block.headerCut = true
    return
  }
  const last = block.lines.length - 1
  if (isLabelled(line.text)) {
    block.lines.push(line.text)
  } else if (last >= 0) {
    const before = block.lines[last] ?? ''
    if (before.length < MAX_JOINED) block.lines[last] = `${before} ${line.text}`
  } else if (block.tail.length < MAX_TAIL) {
    block.tail.push({ text: line.text, wrapped: wrapsOff(block.width, line) })
    block.width = line.width
  }
}

/** Whether a program that wraps lines would have broken the text before this line. */
function wrapsOff(width: number, line: TextLine): boolean {
  if (/^\((?:rev|prog-if) /.test(line.text)) return true
  const space = line.text.indexOf(' ')
  const word = space < 0 ? line.text.length : space
  return width + 1 + word > WRAP_COLUMN
}

/**
 * Lines between a device line and its first detail belong to the device line. Where no details
 * follow, they do only if they were wrapped off: else prose below a short listing would become part
 * of a name.
 */
function joinHeader(block: OpenBlock): void {
  for (const { text, wrapped } of block.tail) {
    if (block.lines.length === 0 && !wrapped) break
    block.header = `${block.header} ${text}`
  }
}

/** Rewrites a `-vmm` record as a `-mm` device line with the labelled lines of ordinary output. */
function withRecordFields(block: OpenBlock): OpenBlock {
  if (block.fields === null) return block
  const get = (key: string): string => block.fields?.get(key) ?? ''
  const revision = get('Rev') === '' ? '' : ` -r${get('Rev')}`
  const interfaceByte = get('ProgIf') === '' ? '' : ` -p${get('ProgIf')}`
  const header =
    `"${get('Class')}" "${get('Vendor')}" "${get('Device')}"${revision}${interfaceByte}` +
    ` "${get('SVendor')}" "${get('SDevice')}"`
  const lines = [...block.lines]
  if (get('IOMMUGroup') !== '') lines.push(`IOMMU group: ${get('IOMMUGroup')}`)
  if (get('Driver') !== '') lines.push(`Kernel driver in use: ${get('Driver')}`)
  return { ...block, header, lines }
}

/**
 * lspci prints devices in the order of their addresses, each once: one that comes again or comes
 * before the last begins a new run. Group listings are ordered by group, so there only the first.
 */
function numberRuns(open: readonly OpenBlock[]): readonly Block[] {
  let run = 0
  let seen = new Set<string>()
  let last: OpenBlock | null = null
  return open.map((block) => {
    const { at, header, headerCut, lines, hex, whole, heading, gapAfter } = block
    const address = formatAddress(at)
    const listing = last !== null && last.heading !== null && heading !== null
    const back = last !== null && !listing && compareAddresses(at, last.at) < 0
    if (back || seen.has(address)) {
      run += 1
      seen = new Set()
    }
    seen.add(address)
    last = block
    return { at, address, header, headerCut, lines, hex, whole, heading, run, gapAfter }
  })
}
