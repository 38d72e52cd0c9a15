/**
 * Configuration space bytes from facts: the way back of config-decode.ts, for machines of which only the
 * meaning of the registers is known (pasted lspci text, machine files).
 *
 * The bytes are a power-on image: virtual functions are not enabled yet, the kernel has not touched the
 * command register. Capabilities stand in the order of the facts; registers that no fact tells are 0.
 * decodeConfig(encodeConfig(facts)) gives the facts back.
 */
import {
  ACS_REQUIRED,
  CAPABILITY,
  type ConfigFacts,
  EXTENDED_CAPABILITY,
  PCIE_TYPE,
} from './config-facts.ts'

export interface FunctionIdentity {
  readonly vendor: number
  readonly device: number
  readonly classCode: number
  readonly revision: number
  readonly subsystem: { readonly vendor: number; readonly device: number } | null
}

export interface EncodedConfig {
  /** 256 or 4096 bytes. */
  readonly bytes: Uint8Array
  /** What was not known and is assumed now, in words: "PCI Express capability: absent". */
  readonly assumed: readonly string[]
}

const STANDARD_BYTES = 256
const EXTENDED_BYTES = 4096
const FIRST_CAPABILITY = 0x40
/** Bytes that a capability takes (PCI Code and ID Assignment Specification names the layouts). */
const SIZE: Readonly<Record<number, number>> = {
  1: 8,
  5: 24,
  9: 16,
  [CAPABILITY.pciExpress]: 60,
  0x11: 12,
}
const EXTENDED_SIZE: Readonly<Record<number, number>> = {
  1: 72,
  [EXTENDED_CAPABILITY.acs]: 12,
  [EXTENDED_CAPABILITY.sriov]: 64,
}
const DEFAULT_SIZE = 8
const DEFAULT_EXTENDED_SIZE = 16
const ROOT_PORT_SLOT_IMPLEMENTED = 0x100
const FUNCTION_LEVEL_RESET = 1 << 28

/** Never throws. What does not fit the space is left out and named in `assumed`. */
export function encodeConfig(identity: FunctionIdentity, facts: ConfigFacts): EncodedConfig {
  const assumed: string[] = []
  const express = isExpress(facts)
  const bytes = new Uint8Array(express ? EXTENDED_BYTES : STANDARD_BYTES)
  const view = new DataView(bytes.buffer)
  writeHeader(view, identity, facts, assumed)
  writeStandard(view, facts, assumed)
  if (express) writeExtended(view, facts, assumed)
  return { bytes, assumed }
}

/** Extended space exists for PCI Express functions, and where a fact names something in it. */
function isExpress({ pcie, acs, sriov, extendedCapabilities }: ConfigFacts): boolean {
  if (pcie.known && pcie.value !== null) return true
  if ((acs.known && acs.value !== null) || (sriov.known && sriov.value !== null)) return true
  return extendedCapabilities.known && extendedCapabilities.value.length > 0
}

function writeHeader(
  view: DataView,
  identity: FunctionIdentity,
  facts: ConfigFacts,
  assumed: string[],
): void {
  view.setUint16(0x00, identity.vendor, true)
  view.setUint16(0x02, identity.device, true)
  view.setUint32(0x08, ((identity.classCode << 8) | identity.revision) >>> 0, true)
  if (!facts.headerType.known) assumed.push('header type: endpoint unless the class is a bridge')
  const bridge = identity.classCode >>> 8 === 0x0604
  const type = facts.headerType.known ? facts.headerType.value : Number(bridge)
  if (!facts.multifunction.known) assumed.push('multifunction bit: clear')
  const multifunction = facts.multifunction.known && facts.multifunction.value
  view.setUint8(0x0e, (type & 0x7f) | (multifunction ? 0x80 : 0))
  if (type === 0 && identity.subsystem !== null) {
    view.setUint16(0x2c, identity.subsystem.vendor, true)
    view.setUint16(0x2e, identity.subsystem.device, true)
  }
  const buses = facts.buses.known ? facts.buses.value : null
  if (type === 0) return
  if (buses === null) {
    assumed.push('bus numbers of the bridge: from what is below it')
    return
  }
  view.setUint8(0x18, buses.primary)
  view.setUint8(0x19, buses.secondary)
  view.setUint8(0x1a, buses.subordinate)
}

function writeStandard(view: DataView, facts: ConfigFacts, assumed: string[]): void {
  const ids = standardIds(facts, assumed)
  if (ids.length === 0) return
  const offsets = place(ids, FIRST_CAPABILITY, STANDARD_BYTES, (id) => SIZE[id] ?? DEFAULT_SIZE)
  if (offsets.length < ids.length) assumed.push('capabilities that do not fit: absent')
  view.setUint16(0x06, 0x10, true)
  view.setUint8(headerPointer(view), offsets[0] ?? 0)
  offsets.forEach((offset, n) => {
    const id = ids[n] ?? 0
    view.setUint8(offset, id)
    view.setUint8(offset + 1, offsets[n + 1] ?? 0)
    if (id === CAPABILITY.pciExpress) writeExpress(view, offset, facts)
    if (id === CAPABILITY.advancedFeatures) writeAdvancedFeatures(view, offset, facts)
    // Power management version 3; MSI: 64 bits, one vector.
    if (id === 0x01) view.setUint16(offset + 2, 0x0003, true)
    if (id === 0x05) view.setUint16(offset + 2, 0x0080, true)
  })
}

/** A CardBus bridge keeps its capability pointer elsewhere. */
function headerPointer(view: DataView): number {
  return (view.getUint8(0x0e) & 0x7f) === 2 ? 0x14 : 0x34
}

function standardIds(facts: ConfigFacts, assumed: string[]): readonly number[] {
  if (facts.capabilities.known) return facts.capabilities.value
  assumed.push('further capabilities: absent')
  const ids: number[] = []
  if (!facts.pcie.known) assumed.push('PCI Express capability: absent')
  else if (facts.pcie.value !== null) ids.push(CAPABILITY.pciExpress)
  const { functionLevelReset } = facts
  const byExpress = ids.length > 0
  if (!functionLevelReset.known) assumed.push('function level reset: none')
  else if (functionLevelReset.value && !byExpress) ids.push(CAPABILITY.advancedFeatures)
  return ids
}

function writeExpress(view: DataView, offset: number, facts: ConfigFacts): void {
  const type = facts.pcie.known && facts.pcie.value !== null ? facts.pcie.value.type : 0
  const port = type === PCIE_TYPE.rootPort || type === PCIE_TYPE.downstreamPort
  const slot = port ? ROOT_PORT_SLOT_IMPLEMENTED : 0
  if (offset + 4 <= STANDARD_BYTES) view.setUint16(offset + 2, 2 | (type << 4) | slot, true)
  const reset = facts.functionLevelReset.known && facts.functionLevelReset.value
  if (offset + 8 <= STANDARD_BYTES)
    view.setUint32(offset + 4, reset ? FUNCTION_LEVEL_RESET : 0, true)
}

function writeAdvancedFeatures(view: DataView, offset: number, facts: ConfigFacts): void {
  const { functionLevelReset, pcie } = facts
  const here = functionLevelReset.known && functionLevelReset.value && !isPresent(pcie)
  view.setUint8(offset + 2, 6)
  if (here) view.setUint8(offset + 3, 0x03)
}

function isPresent(fact: ConfigFacts['pcie']): boolean {
  return fact.known && fact.value !== null
}

function writeExtended(view: DataView, facts: ConfigFacts, assumed: string[]): void {
  const ids = extendedIds(facts, assumed)
  const size = (id: number): number => EXTENDED_SIZE[id] ?? DEFAULT_EXTENDED_SIZE
  const offsets = place(ids, STANDARD_BYTES, EXTENDED_BYTES, size)
  if (offsets.length < ids.length) assumed.push('extended capabilities that do not fit: absent')
  offsets.forEach((offset, n) => {
    const id = ids[n] ?? 0
    const next = offsets[n + 1] ?? 0
    view.setUint32(offset, (id | (1 << 16) | (next << 20)) >>> 0, true)
    if (id === EXTENDED_CAPABILITY.acs) writeAcs(view, offset, facts, assumed)
    if (id === EXTENDED_CAPABILITY.sriov) writeSriov(view, offset, facts, assumed)
  })
}

function extendedIds(facts: ConfigFacts, assumed: string[]): readonly number[] {
  if (facts.extendedCapabilities.known) return facts.extendedCapabilities.value
  assumed.push('further extended capabilities: absent')
  const ids: number[] = []
  if (!facts.acs.known) assumed.push('ACS capability: absent')
  else if (facts.acs.value !== null) ids.push(EXTENDED_CAPABILITY.acs)
  if (!facts.sriov.known) assumed.push('SR-IOV capability: absent')
  else if (facts.sriov.value !== null) ids.push(EXTENDED_CAPABILITY.sriov)
  return ids
}

function writeAcs(view: DataView, offset: number, facts: ConfigFacts, assumed: string[]): void {
  if (!facts.acs.known || facts.acs.value === null) {
    assumed.push('ACS registers: nothing implemented')
    return
  }
  const { bits, wideBits } = facts.acs.value
  if (wideBits.known) {
    view.setUint32(offset + 4, wideBits.value.capability >>> 0, true)
    view.setUint32(offset + 8, wideBits.value.control >>> 0, true)
  } else if (bits.known) {
    view.setUint16(offset + 4, bits.value.capability, true)
    view.setUint16(offset + 6, bits.value.control, true)
    // Devices with the wide layout read their control there: as far on as the capability allows.
    view.setUint32(offset + 8, bits.value.capability & ACS_REQUIRED, true)
  } else {
    assumed.push('ACS registers: nothing implemented')
  }
}

function writeSriov(view: DataView, offset: number, facts: ConfigFacts, assumed: string[]): void {
  if (!facts.sriov.known || facts.sriov.value === null) {
    assumed.push('SR-IOV registers: no virtual functions')
    return
  }
  const { totalVfs, offset: first, stride, vfDevice } = facts.sriov.value
  view.setUint16(offset + 0x0c, totalVfs, true)
  view.setUint16(offset + 0x0e, totalVfs, true)
  view.setUint16(offset + 0x14, first, true)
  view.setUint16(offset + 0x16, stride, true)
  view.setUint16(offset + 0x1a, vfDevice, true)
  // 4 KiB to 4 MiB pages supported, 4 KiB in use, as after power-on.
  view.setUint32(offset + 0x1c, 0x553, true)
  view.setUint32(offset + 0x20, 0x001, true)
}

/** Offsets one after the other; the smallest form (one dword) when the space would not do. */
function place(
  ids: readonly number[],
  from: number,
  end: number,
  sizeOf: (id: number) => number,
): readonly number[] {
  const total = ids.reduce((sum, id) => sum + sizeOf(id), from)
  const offsets: number[] = []
  let offset = from
  for (const id of ids) {
    const size = total <= end ? sizeOf(id) : smallest(sizeOf(id))
    if (offset + size > end) break
    offsets.push(offset)
    offset += size
  }
  return offsets
}

/** Capabilities that hold facts keep their size when space is short; others shrink to a head. */
function smallest(size: number): number {
  return size === DEFAULT_SIZE || size === DEFAULT_EXTENDED_SIZE ? 4 : size
}
