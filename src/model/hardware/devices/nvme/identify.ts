/** Data structures of Identify and Get Log Page (NVM Express 1.4, 5.14 and 5.15). */
import type { ConfigSpace } from '../../config-space.ts'
import type { BlockStore } from './block-store.ts'
import {
  BLOCK_BYTES,
  MAX_EVENT_REQUESTS,
  MAX_TRANSFER_POWER,
  VERSION_1_4,
} from './nvme-registers.ts'

const FIRMWARE = '1.0'
const COMPOSITE_TEMPERATURE = 323

export interface Identity {
  readonly config: ConfigSpace
  readonly serial: string
  /** 0 for the physical function; virtual ones count from 1. */
  readonly controllerId: number
}

/** CNS 1, 4096 bytes. */
export function identifyController({ config, serial, controllerId }: Identity): Uint8Array {
  const bytes = new Uint8Array(4096)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, config.read(0x00, 2), true)
  view.setUint16(2, config.read(0x2c, 2), true)
  text(bytes, 4, 20, serial)
  text(bytes, 24, 40, 'Model NVMe controller')
  text(bytes, 64, 8, FIRMWARE)
  bytes[72] = 6 // arbitration burst
  bytes[77] = MAX_TRANSFER_POWER
  view.setUint16(78, controllerId, true)
  view.setUint32(80, VERSION_1_4, true)
  bytes[258] = 3 // abort limit, 0-based
  bytes[259] = MAX_EVENT_REQUESTS - 1
  bytes[260] = 0x03 // one firmware slot, read-only
  view.setUint16(266, 0x157, true) // warning temperature
  view.setUint16(268, 0x175, true) // critical temperature
  bytes[512] = 0x66 // submission entries of 64 bytes
  bytes[513] = 0x44 // completion entries of 16 bytes
  view.setUint32(516, 1, true) // namespaces
  view.setUint16(520, 1 << 3, true) // write zeroes
  bytes[525] = 1 // a volatile write cache that never holds anything back
  text(bytes, 768, 256, `nqn.2014-08.org.nvmexpress:${serial}`, 0)
  return bytes
}

/** CNS 0, 4096 bytes: one format, 512-byte blocks without metadata. */
export function identifyNamespace(store: BlockStore): Uint8Array {
  const bytes = new Uint8Array(4096)
  const view = new DataView(bytes.buffer)
  for (const offset of [0, 8, 16]) view.setUint32(offset, store.blocks, true)
  bytes[130] = Math.log2(BLOCK_BYTES)
  return bytes
}

/** CNS 2: ids above the given one. */
export function namespaceList(above: number): Uint8Array {
  const bytes = new Uint8Array(4096)
  if (above < 1) bytes[0] = 1
  return bytes
}

/** CNS 3: a UUID made of the serial number. */
export function namespaceDescriptors(serial: string): Uint8Array {
  const bytes = new Uint8Array(4096)
  bytes[0] = 3
  bytes[1] = 16
  text(bytes, 4, 16, serial, 0x5a)
  return bytes
}

/** The whole of a log page; null when there is no such page. */
export function logPage(page: number): Uint8Array | null {
  const bytes = new Uint8Array(512)
  const view = new DataView(bytes.buffer)
  if (page === 1) return bytes.subarray(0, 64)
  if (page === 2) {
    view.setUint16(1, COMPOSITE_TEMPERATURE, true)
    bytes[3] = 100 // available spare, percent
    bytes[4] = 10 // its threshold
    return bytes
  }
  if (page !== 3) return null
  bytes[0] = 1
  text(bytes, 8, 8, FIRMWARE)
  return bytes
}

function text(bytes: Uint8Array, at: number, length: number, value: string, pad = 0x20): void {
  for (let n = 0; n < length; n++) bytes[at + n] = n < value.length ? value.charCodeAt(n) : pad
}
