/**
 * Chains of capabilities behind VFIO's answers (vfio_info_cap_header, include/uapi/linux/vfio.h): each has an id, a
 * version and the offset of the next one from the start of the answer, 0 at the end. An answer that does not fit is
 * cut before the chain, and says how long it would have been: it is asked for again.
 */
import type { Handle } from '../../kernel/kernel.ts'

const HEADER_BYTES = 8
/** More in one answer is a loop. */
const CHAIN_MAX = 64

export interface InfoCapability {
  readonly id: number
  readonly version: number
  /** Where it begins in the answer, header included. */
  readonly offset: number
}

/** @param first offset of the first capability; 0 = none */
export function capabilitiesIn(answer: Uint8Array, first: number): readonly InfoCapability[] {
  const view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength)
  const found: InfoCapability[] = []
  for (let offset = first; offset !== 0 && found.length < CHAIN_MAX; ) {
    if (offset + HEADER_BYTES > answer.byteLength) break
    found.push({
      id: view.getUint16(offset, true),
      version: view.getUint16(offset + 2, true),
      offset,
    })
    offset = view.getUint32(offset + 4, true)
  }
  return found
}

/**
 * Asks with as much room as the answer takes.
 * @param fixed bytes of the structure without its chain; argsz is its first field
 * @param prepare sets the fields that are asked about
 * @throws KernelError
 */
export function askWithChain(
  handle: Handle,
  request: number,
  fixed: number,
  prepare: (view: DataView) => void = () => undefined,
): Uint8Array {
  const ask = (length: number): Uint8Array => {
    const answer = new Uint8Array(length)
    const view = new DataView(answer.buffer)
    view.setUint32(0, length, true)
    prepare(view)
    handle.ioctl(request, answer)
    return answer
  }
  const answer = ask(fixed)
  const wanted = new DataView(answer.buffer).getUint32(0, true)
  return wanted > fixed ? ask(wanted) : answer
}

/** A number of 64 bits; what is above 2^53 is rounded down to it. */
export function readU64(view: DataView, offset: number): number {
  const value = view.getUint32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true)
  return Math.min(value, Number.MAX_SAFE_INTEGER)
}
