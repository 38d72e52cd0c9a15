/**
 * Message signalled interrupts as x86 processors take them: a 32-bit write into 0xFEE00000-0xFEEFFFFF.
 *
 *     address 31:20 = 0xFEE   19:12 = processor (APIC id)   data 7:0 = vector
 *
 * Who can write there can raise any vector on any processor. An IOMMU with interrupt remapping reads
 * the write otherwise: as an index into a table that only the kernel fills.
 * Intel SDM volume 3, "Message Signalled Interrupts".
 */
import type { Interrupt } from './translation.ts'

export interface InterruptMessage {
  /** 32 bits; what goes into the low half of a device's message address register. */
  readonly address: number
  /** 16 bits for MSI, 32 for MSI-X. */
  readonly data: number
}

/** First and last page of the interrupt window, inclusive. */
export const INTERRUPT_WINDOW = { firstPage: 0xfee00, lastPage: 0xfeeff } as const

/** The message that raises an interrupt where nothing remaps. Destinations 0-255. */
export function plainMessage({ vector, destination }: Interrupt): InterruptMessage {
  return { address: (0xfee00000 | ((destination & 0xff) << 12)) >>> 0, data: vector & 0xff }
}

/** What a processor makes of a message that nobody remapped. */
export function readPlainMessage(address: number, data: number): Interrupt {
  return { vector: data & 0xff, destination: (address >>> 12) & 0xff }
}
