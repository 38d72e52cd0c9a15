/**
 * Capabilities behind an info structure: id u16, version u16, next u32 (from the start of the structure,
 * 0 = last), then data (vfio_info_cap_add, drivers/vfio/vfio_main.c).
 *
 * A caller learns the size by trying: with too small a buffer the call succeeds, says so in `argsz`, and
 * leaves the offset 0. 6.6 began to align each capability to 8 bytes; before, u64 fields may be unaligned.
 */
import { atLeast, type KernelVersion } from '../../base/kernel-version.ts'
import { UserBuffer, type Words } from './user-buffer.ts'

export interface InfoCapability {
  readonly id: number
  readonly version: number
  /** What follows the header. */
  readonly data: Uint8Array
}

const HEADER = 8

/** The chain as it follows an info structure of `after` bytes. */
export function capabilityChain(
  kernel: KernelVersion,
  capabilities: readonly InfoCapability[],
  after: number,
): Uint8Array {
  const aligned = atLeast(kernel, 6, 6)
  const sizes = capabilities.map(({ data }) =>
    aligned ? Math.ceil((HEADER + data.length) / 8) * 8 : HEADER + data.length,
  )
  const chain = new UserBuffer(new Uint8Array(sizes.reduce((sum, size) => sum + size, 0)))
  let at = 0
  capabilities.forEach(({ id, version, data }, index) => {
    const next = at + (sizes[index] ?? 0)
    chain.setU32(at, id | (version << 16))
    chain.setU32(at + 4, index + 1 < capabilities.length ? after + next : 0)
    chain.set(at + HEADER, data)
    at = next
  })
  return chain.bytes
}

/** Data of a capability out of fields; numbers are u32. */
export function capabilityData(...fields: readonly (number | Words)[]): Uint8Array {
  const size = fields.reduce<number>((sum, field) => sum + (typeof field === 'number' ? 4 : 8), 0)
  const data = new UserBuffer(new Uint8Array(size))
  let at = 0
  for (const field of fields) {
    if (typeof field === 'number') data.setU32(at, field)
    else data.setU64(at, field)
    at += typeof field === 'number' ? 4 : 8
  }
  return data.bytes
}

/**
 * Puts the chain behind the structure, or asks for a larger buffer.
 * @param size of the structure; @returns cap_offset
 */
export function placeChain(buffer: UserBuffer, chain: Uint8Array, size: number): number {
  if (buffer.u32(0) < size + chain.length) {
    buffer.setU32(0, size + chain.length)
    return 0
  }
  buffer.set(size, chain)
  return size
}
