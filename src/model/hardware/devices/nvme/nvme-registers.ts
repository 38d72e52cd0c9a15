/**
 * Registers of an NVMe controller in BAR0 (NVM Express Base Specification 1.4, chapter 3).
 *
 *     0x00 CAP (8)   0x08 VS   0x0C INTMS  0x10 INTMC   0x14 CC   0x1C CSTS
 *     0x24 AQA       0x28 ASQ (8)          0x30 ACQ (8)
 *     0x1000 + 8q: tail of submission queue q          0x1004 + 8q: head of completion queue q
 */
export const REG = {
  capLow: 0x00,
  capHigh: 0x04,
  version: 0x08,
  maskSet: 0x0c,
  maskClear: 0x10,
  configuration: 0x14,
  status: 0x1c,
  adminSizes: 0x24,
  adminSubmission: 0x28,
  adminCompletion: 0x30,
  doorbells: 0x1000,
} as const

/** Largest queue, as the 0-based value of CAP.MQES. */
export const MAX_QUEUE_SIZE = 0x7ff
/** MQES, contiguous queues required (bit 16), 7.5 s until ready (bits 31:24). */
export const CAP_LOW: number = MAX_QUEUE_SIZE | (1 << 16) | (0x0f << 24)
/** Doorbells 4 bytes apart, the NVM command set (bit 37), memory pages of 4 KiB only. */
export const CAP_HIGH: number = 1 << 5
export const VERSION_1_4 = 0x00010400

export const CC_ENABLE = 1
export const CSTS = { ready: 1, fatal: 2, shutDown: 0b1000, shutdownMask: 0b1100 } as const

/** Queue pairs beside the admin queues, as QEMU's controller has. */
export const MAX_IO_QUEUES = 64
export const PAGE = 4096
/** Largest transfer of a command: 2 to the power of this, in pages (MDTS). */
export const MAX_TRANSFER_POWER = 7
export const BLOCK_BYTES = 512
/** Asynchronous event requests that may wait (AERL + 1). */
export const MAX_EVENT_REQUESTS = 4
