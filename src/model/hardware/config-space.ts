/**
 * Configuration space registers: bytes, which bits software may change, and what a change does.
 * Layouts: PCI Local Bus Specification 3.0 chapter 6, PCI Express Base Specification 7.5-7.9.
 */
export interface ConfigSpace {
  /** 256 or 4096. */
  readonly size: number
  /** Little-endian value of 1, 2 or 4 bytes, zero-extended; all ones beyond the end. */
  read(offset: number, size: 1 | 2 | 4): number
  /** Only writable bits change; then hooks run (BAR sizing, FLR, SR-IOV enable, power state ...). */
  write(offset: number, size: 1 | 2 | 4, value: number): void
  /** The bytes as they stand; a copy. */
  snapshot(): Uint8Array
  /** Offset of the first capability with the id, or 0. */
  capability(id: number): number
  /** Offset of the first extended capability with the id, or 0. */
  extendedCapability(id: number): number
  /** Registers that a reset does not keep go back to their power-on values. */
  reset(): void
  /** Called after a write that touched any of the bytes. */
  onWrite(offset: number, length: number, hook: () => void): void
}
