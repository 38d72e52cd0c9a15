/** What changes need to read of plain register bytes: capability lists and SR-IOV's size. */

/** Offset of a capability in the standard list; 0 when there is none. */
export function capabilityOffset(config: Uint8Array, id: number): number {
  if (((config[0x06] ?? 0) & 0x10) === 0) return 0
  let offset = (config[0x34] ?? 0) & 0xfc
  for (let n = 0; n < 48 && offset >= 0x40; n++) {
    if (config[offset] === id) return offset
    offset = (config[offset + 1] ?? 0) & 0xfc
  }
  return 0
}

interface SriovFields {
  /** TotalVFs */
  readonly total: number
  /** From the physical function's requester id to that of the first virtual one. */
  readonly offset: number
  readonly stride: number
}

/** What the SR-IOV capability says of virtual functions; null when there is none. */
export function sriovFields(config: Uint8Array): SriovFields | null {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength)
  let offset = 0x100
  for (let n = 0; n < 960 && offset >= 0x100 && offset + 0x40 <= view.byteLength; n++) {
    const head = view.getUint32(offset, true)
    if ((head & 0xffff) === 0x10) {
      return {
        total: view.getUint16(offset + 0x0e, true),
        offset: view.getUint16(offset + 0x14, true),
        stride: view.getUint16(offset + 0x16, true),
      }
    }
    offset = (head >>> 20) & 0xffc
  }
  return null
}
