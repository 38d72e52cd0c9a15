/** Event codes of the AMD IOMMU (specification 2.5) in the words of amd_iommu_print_event(). */
export const AMD_EVENT = {
  illegalDeviceTableEntry: 1,
  pageFault: 2,
  deviceTableError: 3,
  pageTableError: 4,
  invalidDeviceRequest: 8,
} as const

const TEXTS: Readonly<Record<number, string>> = {
  1: 'ILLEGAL_DEV_TABLE_ENTRY',
  2: 'IO_PAGE_FAULT',
  3: 'DEV_TAB_HARDWARE_ERROR',
  4: 'PAGE_TAB_HARDWARE_ERROR',
  8: 'INVALID_DEVICE_REQUEST',
}

export function eventText(code: number): string {
  return TEXTS[code] ?? 'UNKNOWN'
}

/** Records in the event log: a ring of 8 KiB (EVT_BUFFER_SIZE) with 16 bytes each. */
export const EVENT_RECORDS = 512
