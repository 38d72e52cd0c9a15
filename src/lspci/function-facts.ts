/**
 * Turns blocks of text into what is known about each function, and merges the blocks that are about
 * the same function: the more detailed one wins, of equally detailed ones the later.
 */
import { type Fact, known, unknown } from '../base/fact.ts'
import type { PciFunction, PciIds } from '../isolation/host.ts'
import { compareAddresses, type PciAddress } from '../pci/address.ts'
import { decodeConfig } from '../pci/config-decode.ts'
import type { NameIndex } from '../pci/pci-ids.ts'
import type { Block } from './blocks.ts'
import { configFromText, type Detail, isVerbose } from './capability-lines.ts'
import { firstKnown, mergeConfig } from './config-merge.ts'
import { type DeviceHeader, parseHeader, parseSubsystem } from './device-header.ts'

/** A function before its place in the tree is known. */
export interface FunctionText
  extends Omit<PciFunction, 'parent' | 'physicalFunction' | 'group' | 'resetMethods'> {
  readonly at: PciAddress
  /** Functions that come after this one may be missing from the text. */
  readonly moreMayFollow: boolean
}

interface Read extends FunctionText {
  readonly rank: number
}

const RANK: Readonly<Record<Detail, number>> = {
  silent: 0,
  terse: 1,
  denied: 2,
  listed: 3,
  decoded: 4,
}
/** A hex dump is the registers themselves. */
const HEX_RANK = 5

/**
 * All functions of the text, ordered by address, each once.
 *
 * @param endsWithLine the text has its last line end, so that it was probably not cut off
 */
export function readFunctions(
  blocks: readonly Block[],
  names: NameIndex | null,
  endsWithLine: boolean,
): readonly FunctionText[] {
  const kernelRuns = new Set<number>()
  for (const block of blocks) {
    if (block.lines.some((line) => line.startsWith('Kernel '))) kernelRuns.add(block.run)
  }
  const byAddress = new Map<string, Read[]>()
  blocks.forEach((block, i) => {
    const isLast = i === blocks.length - 1 && !(block.whole && endsWithLine)
    const read = readBlock(block, names, kernelRuns.has(block.run), isLast)
    const same = byAddress.get(block.address)
    if (same === undefined) byAddress.set(block.address, [read])
    else same.push(read)
  })
  return [...byAddress.values()].map(mergeReads).sort((a, b) => compareAddresses(a.at, b.at))
}

function readBlock(
  block: Block,
  names: NameIndex | null,
  printsDrivers: boolean,
  isLast: boolean,
): Read {
  const header = parseHeader(block.header, block.headerCut, names)
  const bytes = Uint8Array.from(block.hex)
  const text = configFromText(block, header.baseClass)
  const decoded = bytes.length >= 64 ? decodeConfig(bytes, false) : null
  const config = decoded === null ? text.facts : mergeConfig(decoded, text.facts)
  const fromHex = decoded === null || decoded.size === 0 ? null : headerBytes(bytes)
  const silent = text.detail === 'silent' || decoded?.size === 0
  return {
    address: block.address,
    at: block.at,
    vendor: firstKnown(fromHex?.vendor ?? header.vendor, header.vendor),
    device: firstKnown(fromHex?.device ?? header.device, header.device),
    classCode: firstKnown(fromHex?.classCode ?? unknown(''), classCode(header, block, silent)),
    revision: silent
      ? unknown('the device does not answer')
      : (fromHex?.revision ?? header.revision),
    subsystem: subsystemOf(block, header, names),
    name: header.name,
    className: header.className,
    driver: driverOf(block, printsDrivers),
    config:
      block.gapAfter === null ? config : { ...config, damage: [...config.damage, block.gapAfter] },
    moreMayFollow: isLast || block.gapAfter !== null,
    rank: (fromHex !== null && !silent ? HEX_RANK : RANK[text.detail]) + (block.whole ? 0.5 : 0),
  }
}

function mergeReads(reads: readonly Read[]): FunctionText {
  // Best first: more detail, then later in the text.
  const [best, ...others] = reads.toReversed().sort((a, b) => b.rank - a.rank)
  return others.reduce<FunctionText>(mergeTwo, best as FunctionText)
}

function mergeTwo(better: FunctionText, other: FunctionText): FunctionText {
  return {
    address: better.address,
    at: better.at,
    vendor: firstKnown(better.vendor, other.vendor),
    device: firstKnown(better.device, other.device),
    classCode: firstKnown(better.classCode, other.classCode),
    revision: firstKnown(better.revision, other.revision),
    subsystem: firstKnown(better.subsystem, other.subsystem),
    name: better.name ?? other.name,
    className: better.className ?? other.className,
    driver: firstKnown(better.driver, other.driver),
    config: mergeConfig(better.config, other.config),
    moreMayFollow: better.moreMayFollow && other.moreMayFollow,
  }
}

interface HeaderBytes {
  readonly vendor: Fact<number>
  readonly device: Fact<number>
  readonly classCode: Fact<number>
  readonly revision: Fact<number>
}

/** Ids in the registers; a virtual function has all ones there, and its ids come from the text. */
function headerBytes(bytes: Uint8Array): HeaderBytes {
  const word = (at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  const virtual = unknown('a virtual function has no ids of its own in config space')
  const vendor = word(0x00)
  return {
    vendor: vendor === 0xffff ? virtual : known(vendor),
    device: vendor === 0xffff ? virtual : known(word(0x02)),
    classCode: known((word(0x0a) << 8) | (bytes[0x09] ?? 0)),
    revision: known(bytes[0x08] ?? 0),
  }
}

/**
 * Sub-classes that define more than one programming interface (PCI Code and ID Assignment). For the
 * others a listing without interface bytes still gives the whole class code.
 */
const SEVERAL_INTERFACES = new Set([
  0x0101, 0x0105, 0x0106, 0x0107, 0x0108, 0x0109, 0x0403, 0x0604, 0x0608, 0x0609, 0x060a, 0x0700,
  0x0701, 0x0703, 0x0800, 0x0801, 0x0802, 0x0803, 0x0805, 0x0904, 0x0c00, 0x0c03, 0x0c07,
])

function classCode(header: DeviceHeader, block: Block, silent: boolean): Fact<number> {
  const base = header.baseClass
  if (!base.known) return base
  if (header.interfaceByte !== null && !silent) {
    return known((base.value << 8) | header.interfaceByte)
  }
  if (block.headerCut) return unknown('the text is cut off in this line')
  // lspci -v prints every interface that is not zero; other output prints none.
  const printed = header.printsInterface || (isVerbose(block) && !silent)
  if (printed || !SEVERAL_INTERFACES.has(base.value)) return known(base.value << 8)
  return unknown('this output of lspci does not print the programming interface')
}

function subsystemOf(
  block: Block,
  header: DeviceHeader,
  names: NameIndex | null,
): Fact<PciIds | null> {
  if (header.subsystem.known) return header.subsystem
  // A bridge has it in a capability; there it prints "Capabilities: [c0] Subsystem: ...".
  const line = block.lines.find((text) =>
    /^(?:Capabilities: \[[0-9a-f]{2}\] )?Subsystem: /.test(text),
  )
  if (line !== undefined) {
    return parseSubsystem(line.slice(line.indexOf('Subsystem: ') + 11).trim(), names)
  }
  const printed = isVerbose(block) && block.whole
  return printed ? known(null) : header.subsystem
}

/** @param printed the run prints drivers, so a function without such a line has none */
function driverOf(block: Block, printed: boolean): Fact<string | null> {
  const line = block.lines.find((text) => text.startsWith('Kernel driver in use:'))
  const name = /^Kernel driver in use: (\S{1,64})/.exec(line ?? '')?.[1]
  if (name !== undefined) return known(name)
  if (!printed) return unknown('the text does not print drivers (run lspci -k)')
  return block.whole ? known(null) : unknown('the text is cut off before the end of this device')
}
