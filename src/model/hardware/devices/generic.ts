/**
 * Any function that nobody modelled: its registers as they were captured, its BARs as plain memory.
 * It never does DMA by itself and never interrupts, but it can be bound, reset, assigned and
 * grouped like the real one.
 */
import type { ConfigSpace } from '../config-space.ts'
import type { Bar, BusMaster, HardwareFunction } from '../function.ts'
import { BarMemory } from './bar-memory.ts'
import { InterruptSource } from './interrupt-source.ts'

export class GenericFunction implements HardwareFunction {
  readonly kind: string
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  virtualFunction?: (index: number) => HardwareFunction
  readonly busy = false
  readonly #memory: BarMemory
  readonly #interrupts: InterruptSource

  constructor(kind: string, config: ConfigSpace, bars: readonly Bar[]) {
    this.kind = kind
    this.config = config
    this.bars = bars
    this.#memory = new BarMemory(bars)
    this.#interrupts = new InterruptSource(config)
  }

  readBar(index: number, offset: number, size: 1 | 2 | 4): number {
    const { table } = this.#interrupts
    if (table?.covers(index, offset) === true) return table.read(index, offset, size)
    return this.#memory.read(index, offset, size)
  }

  writeBar(index: number, offset: number, size: 1 | 2 | 4, value: number): void {
    if (this.#interrupts.table?.covers(index, offset) === true) {
      this.#interrupts.writeTable(index, offset, size, value)
    } else this.#memory.write(index, offset, size, value)
  }

  /** The BAR with the interrupt table is not plain memory. */
  memory(index: number): Uint8Array | null {
    return this.#interrupts.table?.bars.has(index) === true ? null : this.#memory.shared(index)
  }

  reset(): void {
    this.#interrupts.reset()
    this.#memory.reset()
  }

  connect(port: BusMaster | null): void {
    this.#interrupts.connect(port)
  }

  advance(): void {
    // Nothing ever waits.
  }
}
