/** What a benchmark is: a figure, and the bound it must keep. */
import type { Tool } from '../lab/packages.ts'

/** What a benchmark may use. */
export interface Bench {
  /** Folder of a synthetic host of that many functions; made when first asked for. */
  readonly host: (functions: number) => string
  /** Removes all hosts: the largest one needs the room. */
  readonly clear: () => void
  /** Empty folder for outputs. */
  readonly scratch: string
  readonly rounds: number
  /** What several benchmarks share ends when all have been measured. */
  readonly atEnd: (end: () => Promise<unknown>) => void
}

export interface Benchmark {
  readonly name: string
  readonly title: string
  /** Largest permitted value; null: only to be seen. */
  readonly bound: number | null
  /** What is aimed at, where that is less than the bound. */
  readonly goal: number | null
  /** '' = a ratio; ns = nanoseconds for one operation. */
  readonly unit: '' | 'MiB' | 'ns'
  /** What it runs beside the lab's programs. What is missing is installed first, where that can be done. */
  readonly tools?: readonly Tool[]
  /** Why it cannot be measured here; null when it can. */
  readonly obstacle: () => string | null
  readonly measure: (bench: Bench) => Promise<Measured>
}

export interface Measured {
  readonly value: number
  /** What the value was computed from, a line each. */
  readonly details: readonly string[]
}
