/**
 * A bus master port onto 64 pages of plain memory, with pages that refuse and a record of
 * interrupts.
 */
import type { BusMaster } from '../function.ts'

const PAGE = 4096

export class MemoryPort implements BusMaster {
  readonly bytes: Uint8Array = new Uint8Array(64 * PAGE)
  readonly refused: Set<number> = new Set()
  readonly messages: number[] = []
  level = false

  get view(): DataView {
    return new DataView(this.bytes.buffer)
  }

  read(page: number, offset: number, length: number): Uint8Array | null {
    const at = this.#place(page, offset, length)
    return at === null ? null : this.bytes.slice(at, at + length)
  }

  write(page: number, offset: number, bytes: Uint8Array): boolean {
    const at = this.#place(page, offset, bytes.length)
    if (at === null) return false
    this.bytes.set(bytes, at)
    return true
  }

  message(vector: number): void {
    this.messages.push(vector)
  }

  pin(asserted: boolean): void {
    this.level = asserted
  }

  #place(page: number, offset: number, length: number): number | null {
    if (offset + length > PAGE) throw new Error('a transaction crosses a page')
    if (this.refused.has(page) || page >= this.bytes.length / PAGE) return null
    return page * PAGE + offset
  }
}

/** Lets the function work until nothing waits. */
export function drain(fn: { readonly busy: boolean; advance(): void }, limit = 1000): number {
  let count = 0
  for (; fn.busy; count++) {
    if (count === limit) throw new Error('it works for ever')
    fn.advance()
  }
  return count
}
