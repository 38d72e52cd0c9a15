/**
 * The two linked lists of capabilities in configuration space: the first offset of each id.
 *
 * The walk is the kernel's (pci_find_next_cap and pci_find_next_ext_capability, drivers/pci/pci.c): it
 * gives up after as many steps as there are places, so a list that loops does no harm.
 */

const STANDARD_STEPS = 48
const EXTENDED_STEPS = 960
const EXTENDED_START = 0x100

/** Offsets of standard capabilities by id. */
export function capabilityList(view: DataView): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  if ((view.getUint16(0x06, true) & 0x10) === 0) return found
  const cardBus = (view.getUint8(0x0e) & 0x7f) === 2
  let offset = view.getUint8(cardBus ? 0x14 : 0x34) & 0xfc
  for (let n = 0; n < STANDARD_STEPS && offset >= 0x40; n++) {
    const id = view.getUint8(offset)
    if (id === 0xff) break
    if (!found.has(id)) found.set(id, offset)
    offset = view.getUint8(offset + 1) & 0xfc
  }
  return found
}

/** Offsets of extended capabilities by id; none in a space of 256 bytes. */
export function extendedCapabilityList(view: DataView): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  let offset = EXTENDED_START
  for (let n = 0; n < EXTENDED_STEPS && offset >= EXTENDED_START; n++) {
    if (offset + 4 > view.byteLength) break
    const head = view.getUint32(offset, true)
    if (head === 0 || head === 0xffffffff) break
    if (!found.has(head & 0xffff)) found.set(head & 0xffff, offset)
    offset = (head >>> 20) & 0xffc
  }
  return found
}
