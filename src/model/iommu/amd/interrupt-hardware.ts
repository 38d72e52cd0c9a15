/**
 * Interrupt remapping as AMD hardware does it (specification 2.2.5): the device table entry says whether
 * interrupts of the device are blocked, pass, or are looked up in its own table by the low 11 bits of
 * the message data.
 */
import { readPlainMessage } from '../../hardware/interrupt-message.ts'
import type { Interrupt } from '../../hardware/translation.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'

/** @returns the interrupt, or why there is none; 'silent' = blocked without a record */
export function remapInterrupt(
  memory: PhysicalMemory,
  entry: { readonly low: number; readonly high: number },
  guestApic: boolean,
  address: number,
  data: number,
): Interrupt | 'fault' | 'illegal' | 'silent' {
  if ((entry.low & 1) === 0) return readPlainMessage(address, data)
  switch ((entry.high >>> 28) & 3) {
    case 0:
      return 'fault'
    case 1:
      return readPlainMessage(address, data)
    case 3:
      return 'illegal'
    default:
  }
  const index = data & 0x7ff
  if (index >= 2 ** ((entry.low >>> 1) & 0xf)) return 'fault'
  const words = guestApic ? 4 : 1
  // The table is aligned to 128 bytes: bits 51:6 of the entry.
  const offset = (((entry.low & 0xfc0) >>> 2) + index * words) | 0
  const page = (entry.high & 0xfffff) * 0x100000 + (entry.low >>> 12) + (offset >>> 10)
  const read = (word: number): number => memory.word(page, (offset & 1023) + word)
  const low = read(0)
  if (low === -1) return 'fault'
  if ((low & 1) === 0) return (low & 2) !== 0 ? 'silent' : 'fault'
  if (!guestApic) return { vector: (low >>> 16) & 0xff, destination: (low >>> 8) & 0xff }
  return { vector: read(2) & 0xff, destination: ((read(3) & 0xff000000) | (low >>> 8)) >>> 0 }
}
