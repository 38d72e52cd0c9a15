/**
 * How a function tells the processor: a message if software enabled MSI-X or MSI, else the level of
 * its INTx pin (PCI Local Bus Specification 3.0, 6.8). A message is a DMA write, so it needs the
 * bus master bit and passes the IOMMU; the pin is a wire.
 */
import type { ConfigSpace } from '../config-space.ts'
import type { BusMaster } from '../function.ts'
import { type MsixTable, msixTable } from './msix-table.ts'

const MSI = 0x05
const MSIX = 0x11
const MSIX_ENABLE = 0x8000
const MSIX_MASK_ALL = 0x4000

export class InterruptSource {
  readonly table: MsixTable | null
  readonly #config: ConfigSpace
  readonly #msi: number
  readonly #msix: number
  #port: BusMaster | null = null
  #level = false

  constructor(config: ConfigSpace) {
    this.#config = config
    this.table = msixTable(config)
    this.#msi = config.capability(MSI)
    this.#msix = config.capability(MSIX)
    // Unmasking the whole function lets out what waited.
    if (this.#msix !== 0) config.onWrite(this.#msix + 2, 2, () => this.#release())
  }

  connect(port: BusMaster | null): void {
    this.#port = port
  }

  get mode(): 'msix' | 'msi' | 'pin' {
    if (this.#msix !== 0 && (this.#config.read(this.#msix + 2, 2) & MSIX_ENABLE) !== 0)
      return 'msix'
    if (this.#msi !== 0 && (this.#config.read(this.#msi + 2, 2) & 1) !== 0) return 'msi'
    return 'pin'
  }

  /** One event of a vector. Nothing in pin mode: there the level tells. */
  signal(vector: number): void {
    const { mode, table } = this
    if (mode === 'msix' && table !== null) {
      if (vector >= table.vectors) return
      if (table.isMasked(vector) || this.#masksAll()) table.setPending(vector)
      else this.#port?.message(vector)
    } else if (mode === 'msi') {
      // Fewer messages may be granted than there are vectors; the last one stands for the rest.
      const granted = 1 << ((this.#config.read(this.#msi + 2, 2) >> 4) & 7)
      this.#port?.message(Math.min(vector, granted - 1))
    }
  }

  /** Level of the pin; in a message mode the pin stays low. */
  level(asserted: boolean): void {
    const level = asserted && this.mode === 'pin'
    if (level === this.#level) return
    this.#level = level
    this.#port?.pin(level)
  }

  /** A write to the table; unmasked vectors that waited fire. */
  writeTable(bar: number, offset: number, size: 1 | 2 | 4, value: number): void {
    const due = this.table?.write(bar, offset, size, value) ?? []
    if (this.mode !== 'msix') return
    for (const vector of due) this.signal(vector)
  }

  reset(): void {
    this.table?.reset()
    if (this.#level) this.#port?.pin(false)
    this.#level = false
  }

  #masksAll(): boolean {
    return (this.#config.read(this.#msix + 2, 2) & MSIX_MASK_ALL) !== 0
  }

  #release(): void {
    if (this.mode !== 'msix' || this.table === null || this.#masksAll()) return
    for (const vector of this.table.takePending(0, this.table.vectors)) this.signal(vector)
  }
}
