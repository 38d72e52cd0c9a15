/** A function without behaviour, for tests: its BARs are memory, and its port is there to be used. */
import type { ConfigSpace } from './config-space.ts'
import type { Bar, BusMaster, HardwareFunction, ResetKind } from './function.ts'

export class BareFunction implements HardwareFunction {
  readonly kind = 'bare'
  readonly config: ConfigSpace
  readonly bars: readonly Bar[]
  readonly busy = false
  readonly resets: ResetKind[] = []
  readonly virtual: BareFunction[] = []
  port: BusMaster | null = null
  /** What was written to BARs, by "bar:offset". */
  readonly written: Map<string, number> = new Map()
  readonly #makeVirtual: ((index: number) => BareFunction) | null

  constructor(
    config: ConfigSpace,
    bars: readonly Bar[] = [],
    makeVirtual: ((index: number) => BareFunction) | null = null,
  ) {
    this.config = config
    this.bars = bars
    this.#makeVirtual = makeVirtual
  }

  readBar(index: number, offset: number): number {
    return this.written.get(`${String(index)}:${String(offset)}`) ?? 0
  }

  writeBar(index: number, offset: number, _size: 1 | 2 | 4, value: number): void {
    this.written.set(`${String(index)}:${String(offset)}`, value)
  }

  memory(): null {
    return null
  }

  reset(kind: ResetKind): void {
    this.resets.push(kind)
  }

  connect(port: BusMaster | null): void {
    this.port = port
  }

  virtualFunction(index: number): BareFunction {
    if (this.#makeVirtual === null) throw new Error('it has no virtual functions')
    const fn = this.virtual[index] ?? this.#makeVirtual(index)
    this.virtual[index] = fn
    return fn
  }

  advance(): void {
    // Nothing ever waits.
  }
}
