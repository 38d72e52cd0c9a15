/**
 * Giving a function an ACS capability, or taking it away, in its registers: the extended list is a chain
 * of heads { id, version, offset of the next } from 0x100 on (PCI Express Base Specification 7.6.3, 7.7.11).
 */
import { EXTENDED_CAPABILITY } from '../../../pci/config-facts.ts'

const FIRST = 0x100
const END = 0x1000
const ACS_BYTES = 12
/** SV, TB, RR, CR, UF, DT: what root ports commonly implement (QEMU's, for one). */
const ACS_IMPLEMENTED = 0x5f
/** Source validation, request and completion redirect, upstream forwarding. */
const NEEDED = 0x1d

interface Head {
  readonly offset: number
  readonly id: number
  readonly next: number
}

function heads(view: DataView): readonly Head[] {
  const found: Head[] = []
  let offset = FIRST
  while (offset >= FIRST && offset + 4 <= view.byteLength && found.length < 960) {
    const word = view.getUint32(offset, true)
    if (word === 0 || word === 0xffffffff) break
    found.push({ offset, id: word & 0xffff, next: (word >>> 20) & 0xffc })
    offset = found.at(-1)?.next ?? 0
  }
  return found
}

/**
 * Makes the function implement at least what isolation needs. @returns the registers, in a new array where
 * the extended space had to be added; null when the function is no PCI Express function
 */
export function withAcs(config: Uint8Array, express: boolean): Uint8Array | null {
  if (!express) return null
  const bytes = new Uint8Array(END)
  bytes.set(config)
  const view = new DataView(bytes.buffer)
  const list = heads(view)
  const present = list.find((head) => head.id === EXTENDED_CAPABILITY.acs)
  if (present !== undefined) {
    const capability = view.getUint16(present.offset + 4, true)
    view.setUint16(present.offset + 4, capability | NEEDED, true)
    return bytes
  }
  const offset = list.length === 0 ? FIRST : freeSpace(view, list)
  if (offset === null) return null
  view.setUint32(offset, EXTENDED_CAPABILITY.acs | (1 << 16), true)
  view.setUint32(offset + 4, ACS_IMPLEMENTED, true)
  const last = list.at(-1)
  if (last !== undefined) setNext(view, last.offset, offset)
  return bytes
}

/** Whether it has a capability that implements all that isolation needs. */
export function hasAcs(config: Uint8Array): boolean {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength)
  const found = heads(view).find((head) => head.id === EXTENDED_CAPABILITY.acs)
  return found !== undefined && (view.getUint16(found.offset + 4, true) & NEEDED) === NEEDED
}

/** Unlinks the capability. @returns whether there was one */
export function removeAcs(config: Uint8Array): boolean {
  const view = new DataView(config.buffer)
  const list = heads(view)
  const index = list.findIndex((head) => head.id === EXTENDED_CAPABILITY.acs)
  const found = list[index]
  if (found === undefined) return false
  const before = list[index - 1]
  if (before !== undefined) setNext(view, before.offset, found.next)
  // The first head cannot be unlinked: an empty capability stands in for it (id 0 with a next pointer).
  else
    view.setUint32(
      found.offset,
      found.next === 0 ? 0 : ((found.next << 20) | (1 << 16)) >>> 0,
      true,
    )
  config.fill(0, found.offset + 4, found.offset + 8)
  return true
}

function setNext(view: DataView, offset: number, next: number): void {
  const word = view.getUint32(offset, true)
  view.setUint32(offset, ((word & 0x000fffff) | (next << 20)) >>> 0, true)
}

/** The last dwords of the space that are zero and not inside a capability that might reach there. */
function freeSpace(view: DataView, list: readonly Head[]): number | null {
  const lowest = Math.max(...list.map((head) => head.offset)) + 0x10
  for (let offset = END - 16; offset >= lowest; offset -= 16) {
    let free = true
    for (let at = offset; at < offset + ACS_BYTES; at += 4) {
      if (view.getUint32(at, true) !== 0) free = false
    }
    if (free) return offset
  }
  return null
}
