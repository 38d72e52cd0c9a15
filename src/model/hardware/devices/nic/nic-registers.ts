/**
 * Registers of the 82574L that the model's network function has (Intel 82574 datasheet, chapter 10;
 * the first queue pair of most Intel gigabit controllers since the 82540 looks the same).
 *
 *     CTRL 0x0000  STATUS 0x0008  EERD 0x0014            ICR 0x00C0  ICS C8  IMS D0  IMC D8  IVAR E4
 *     RCTL 0x0100  RDBAL 0x2800 RDBAH 2804 RDLEN 2808 RDH 2810 RDT 2818
 *     TCTL 0x0400  TDBAL 0x3800 TDBAH 3804 TDLEN 3808 TDH 3810 TDT 3818  (second queue: + 0x100)
 *     RAL0 0x5400  RAH0 0x5404     GPRC 0x4074 frames received, GPTC 0x4080 sent, MPC 0x4010 missed
 */
export const REG = {
  ctrl: 0x0000,
  status: 0x0008,
  eerd: 0x0014,
  icr: 0x00c0,
  ics: 0x00c8,
  ims: 0x00d0,
  imc: 0x00d8,
  ivar: 0x00e4,
  rctl: 0x0100,
  tctl: 0x0400,
  receive: 0x2800,
  transmit: 0x3800,
  missed: 0x4010,
  received: 0x4074,
  sent: 0x4080,
  ral: 0x5400,
  rah: 0x5404,
} as const

/** Offsets inside a ring's block of registers, and the distance to the next queue's block. */
export const RING = {
  baseLow: 0x00,
  baseHigh: 0x04,
  length: 0x08,
  head: 0x10,
  tail: 0x18,
  next: 0x100,
} as const

export const CTRL = { reset: 0x4000000, setLinkUp: 0x40 } as const
/** Full duplex, link up, 1000 Mb/s. */
export const STATUS_UP = 0x83
export const RCTL = {
  enable: 0x2,
  unicastAll: 0x8,
  multicastAll: 0x10,
  loopback: 0xc0,
  loopbackMac: 0x40,
  broadcast: 0x8000,
} as const
export const TCTL_ENABLE = 0x2
/** Address valid, bit 31 of RAH. */
export const ADDRESS_VALID = 0x80000000
export const EERD = { start: 0x1, done: 0x2 } as const

/** Interrupt causes of ICR; the ones by queue are those that MSI-X uses. */
export const CAUSE = {
  transmitDone: 0x1,
  linkChange: 0x4,
  received: 0x80,
  receiveQueue: [0x100000, 0x200000],
  transmitQueue: [0x400000, 0x800000],
  other: 0x1000000,
} as const

/** Bytes of one receive buffer, by RCTL's BSIZE (17:16) and BSEX (25). */
export function bufferBytes(rctl: number): number {
  const size = (rctl >>> 16) & 3
  return (rctl & (1 << 25)) !== 0 && size !== 0 ? 32768 >> size : 2048 >> size
}
