/**
 * Fault reason codes of VT-d (specification, appendix A "Fault Reason Encodings") in the words of
 * dma_remap_fault_reasons and irq_remap_fault_reasons of drivers/iommu/intel/dmar.c.
 */
export const VTD_FAULT = {
  rootNotPresent: 1,
  contextNotPresent: 2,
  contextInvalid: 3,
  addressTooWide: 4,
  writeDenied: 5,
  readDenied: 6,
  nextTable: 7,
  rootPointer: 8,
  contextPointer: 9,
  rootReserved: 10,
  contextReserved: 11,
  pageReserved: 12,
  messageReserved: 0x20,
  indexTooLarge: 0x21,
  interruptNotPresent: 0x22,
  interruptTablePointer: 0x23,
  interruptReserved: 0x24,
  plainMessageBlocked: 0x25,
  sourceRefused: 0x26,
} as const

const TEXTS: Readonly<Record<number, string>> = {
  1: 'Present bit in root entry is clear',
  2: 'Present bit in context entry is clear',
  3: 'Invalid context entry',
  4: 'Access beyond MGAW',
  5: 'PTE Write access is not set',
  6: 'PTE Read access is not set',
  7: 'Next page table ptr is invalid',
  8: 'Root table address invalid',
  9: 'Context table ptr is invalid',
  10: 'non-zero reserved fields in RTP',
  11: 'non-zero reserved fields in CTP',
  12: 'non-zero reserved fields in PTE',
  0x20: 'Detected reserved fields in the decoded interrupt-remapped request',
  0x21: 'Interrupt index exceeded the interrupt-remapping table size',
  0x22: 'Present field in the IRTE entry is clear',
  0x23: 'Error accessing interrupt-remapping table pointed by IRTA_REG',
  0x24: 'Detected reserved fields in the IRTE entry',
  0x25: 'Blocked a compatibility format interrupt request',
  0x26: 'Blocked an interrupt request due to source-id verification failure',
}

export function faultText(reason: number): string {
  return TEXTS[reason] ?? 'Unknown'
}
