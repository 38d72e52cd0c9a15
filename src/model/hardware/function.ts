/**
 * A PCI function as hardware: registers and behaviour, without any kernel. It stays in its slot while
 * the kernel's struct pci_dev comes and goes (remove, rescan).
 */
import type { ConfigSpace } from './config-space.ts'

export interface Bar {
  /** 0-5; a 64-bit BAR takes two indexes and is listed under the first. 6 = expansion ROM. */
  readonly index: number
  /** Power of two, bytes. */
  readonly size: number
  readonly kind: 'mem32' | 'mem64' | 'io' | 'rom'
  readonly prefetchable: boolean
}

/** What a reset reaches: only the function (FLR, AF FLR, D3hot-D0) or all below a bridge. */
export type ResetKind = 'flr' | 'pm' | 'bus'

export interface HardwareFunction {
  /** What it is, for people: "edu", "e1000e", "generic". */
  readonly kind: string
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  /** 1, 2, 4 or 8 bytes at an offset of a BAR; 8-byte accesses come as two of 4. All ones where nothing answers. */
  readBar(index: number, offset: number, size: 1 | 2 | 4): number
  writeBar(index: number, offset: number, size: 1 | 2 | 4, value: number): void
  /** Bytes behind a BAR that is plain memory, for sharing through mmap; null when accesses have effects. */
  memory(index: number): Uint8Array | null
  /** Back to power-on state. The bus resets its registers that are not sticky. */
  reset(kind: ResetKind): void
  /** The function is wired to a bus (or, null, taken out): from now on it may do DMA. */
  connect(port: BusMaster | null): void
  /** Hardware of the virtual function `index`; only functions with an SR-IOV capability. */
  virtualFunction?(index: number): HardwareFunction
  /** True while the function still has DMA or work to do; the explorer and `drain` advance it. */
  readonly busy: boolean
  /** Does one unit of the work that waits (one DMA transfer, one command). */
  advance(): void
}

/**
 * A function's way to memory. Transactions need the bus master bit; they carry the requester id, pass
 * the bridges above (which may rewrite it), and are translated by the IOMMU unit in charge.
 */
export interface BusMaster {
  /** @returns null when the transaction was refused or faulted (the device sees an abort) */
  read(page: number, offset: number, length: number): Uint8Array | null
  /** @returns whether the data arrived */
  write(page: number, offset: number, bytes: Uint8Array): boolean
  /** Message of MSI or MSI-X vector `vector`, if enabled and not masked: a DMA write to the interrupt window. */
  message(vector: number): void
  /** INTx pin level. */
  pin(asserted: boolean): void
}
