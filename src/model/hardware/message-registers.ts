/**
 * Which message a vector of a function stands for now: the MSI registers of configuration space, or the
 * MSI-X table that the function keeps in one of its BARs (PCI Local Bus Specification 3.0, 6.8).
 */
import type { ConfigSpace } from './config-space.ts'
import type { HardwareFunction } from './function.ts'

export interface Message {
  readonly address: number
  /** Upper 32 bits of the address; 0 for interrupts of x86 processors. */
  readonly upper: number
  readonly data: number
}

const MSI = 0x05
const MSIX = 0x11
const MSI_ENABLE = 0x01
const MSI_WIDE = 0x80
const MSI_MASKABLE = 0x100
const MSIX_ENABLE = 0x8000
const MSIX_MASK_ALL = 0x4000

/** @returns null when messages are off or the vector is masked; a masked MSI vector is then pending */
export function messageOf(fn: HardwareFunction, vector: number): Message | null {
  const { config } = fn
  const msix = config.capability(MSIX)
  if (msix !== 0) {
    const control = config.read(msix + 2, 2)
    if ((control & MSIX_ENABLE) !== 0) {
      if ((control & MSIX_MASK_ALL) !== 0 || vector > (control & 0x7ff)) return null
      return tableEntry(fn, config.read(msix + 4, 4), vector)
    }
  }
  const msi = config.capability(MSI)
  return msi === 0 ? null : msiMessage(config, msi, vector)
}

function tableEntry(fn: HardwareFunction, table: number, vector: number): Message | null {
  const at = (table & ~7) + 16 * vector
  const read = (offset: number): number => fn.readBar(table & 7, at + offset, 4)
  if ((read(12) & 1) !== 0) return null
  return { address: read(0), upper: read(4), data: read(8) }
}

function msiMessage(config: ConfigSpace, msi: number, vector: number): Message | null {
  const control = config.read(msi + 2, 2)
  const count = 1 << ((control >> 4) & 7)
  if ((control & MSI_ENABLE) === 0 || vector >= count) return null
  const wide = (control & MSI_WIDE) !== 0
  const mask = maskOffset(config)
  if (mask !== 0 && ((config.read(mask, 4) >>> vector) & 1) !== 0) {
    config.poke(mask + 4, 4, config.read(mask + 4, 4) | (1 << vector))
    return null
  }
  const data = config.read(msi + (wide ? 12 : 8), 2)
  return {
    address: config.read(msi + 4, 4),
    upper: wide ? config.read(msi + 8, 4) : 0,
    // A function with several messages varies the low bits of the data.
    data: (data & ~(count - 1)) | vector,
  }
}

/** Offset of the MSI mask bits, the pending bits follow; 0 when vectors cannot be masked. */
export function maskOffset(config: ConfigSpace): number {
  const msi = config.capability(MSI)
  if (msi === 0) return 0
  const control = config.read(msi + 2, 2)
  if ((control & MSI_MASKABLE) === 0) return 0
  return msi + ((control & MSI_WIDE) !== 0 ? 16 : 12)
}

/** Vectors that wait and are not masked any more; they wait no longer. */
export function takePending(config: ConfigSpace): readonly number[] {
  const mask = maskOffset(config)
  const due = config.read(mask + 4, 4) & ~config.read(mask, 4)
  if (due === 0) return []
  config.poke(mask + 4, 4, config.read(mask + 4, 4) & ~due)
  return Array.from({ length: 32 }, (_, n) => n).filter((n) => ((due >>> n) & 1) !== 0)
}
