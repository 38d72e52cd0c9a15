/**
 * Interrupt remapping as VT-d hardware does it (specification chapter 5): a write into the interrupt
 * window carries an index ("handle") instead of a vector; the table entry behind it tells vector and
 * processor, and which requester ids may use it.
 */
import type { Interrupt } from '../../hardware/translation.ts'
import { readPlainMessage } from '../../hardware/interrupt-message.ts'
import type { PhysicalMemory } from '../../memory/physical-memory.ts'
import { VTD_FAULT } from './fault-reasons.ts'

/** The IRTA register. */
export interface InterruptTable {
  readonly firstPage: number
  readonly entries: number
  /** Destinations are 32-bit x2APIC ids (EIME), else 8 bits in 15:8. */
  readonly x2apic: boolean
}

/** @returns the interrupt, or a fault reason */
export function remapInterrupt(
  memory: PhysicalMemory,
  table: InterruptTable | null,
  requester: number,
  address: number,
  data: number,
): Interrupt | number {
  if (table === null) return readPlainMessage(address, data)
  if ((address & 0x10) === 0) return VTD_FAULT.plainMessageBlocked
  const hasSubhandle = (address & 0x8) !== 0
  if (hasSubhandle && data >>> 16 !== 0) return VTD_FAULT.messageReserved
  const handle = ((address >>> 5) & 0x7fff) | ((address & 4) << 13)
  const index = handle + (hasSubhandle ? data & 0xffff : 0)
  if (index >= table.entries) return VTD_FAULT.indexTooLarge

  const page = table.firstPage + (index >>> 8)
  const at = (index & 0xff) * 4
  const low = memory.word(page, at)
  if (low === -1) return VTD_FAULT.interruptTablePointer
  if ((low & 1) === 0) return VTD_FAULT.interruptNotPresent
  const source = memory.word(page, at + 2)
  // Bit 15 would make it a posted interrupt, which this hardware does not have.
  if ((low & 0xff00f000) !== 0 || source >>> 20 !== 0 || memory.word(page, at + 3) !== 0) {
    return VTD_FAULT.interruptReserved
  }
  if (!mayUse(source, requester)) return VTD_FAULT.sourceRefused
  const destination = memory.word(page, at + 1)
  return {
    vector: (low >>> 16) & 0xff,
    destination: table.x2apic ? destination : (destination >>> 8) & 0xff,
  }
}

/** Source id verification: SID 15:0, SQ 17:16, SVT 19:18. */
function mayUse(source: number, requester: number): boolean {
  const id = source & 0xffff
  switch ((source >>> 18) & 3) {
    case 0:
      return true
    case 1: {
      // The qualifier leaves out the function number's third bit, its upper two, or all of it.
      const ignored = [0, 4, 6, 7][(source >>> 16) & 3] ?? 0
      return ((id ^ requester) & ~ignored) === 0
    }
    case 2:
      return requester >>> 8 >= id >>> 8 && requester >>> 8 <= (id & 0xff)
    default:
      return false
  }
}
