/**
 * The medium behind a namespace: blocks of 512 bytes that outlive every reset. A physical function
 * and its virtual ones share one, as controllers of one NVM subsystem do.
 */
import { BLOCK_BYTES } from './nvme-registers.ts'

/** 16 MiB. */
const DEFAULT_BLOCKS = 32768

export class BlockStore {
  readonly blocks: number
  /** Allocated by the first write. */
  #bytes: Uint8Array | null = null

  constructor(blocks: number = DEFAULT_BLOCKS) {
    this.blocks = blocks
  }

  /** Never-written blocks read as zeros. The range must be inside. */
  read(block: number, count: number): Uint8Array {
    const from = block * BLOCK_BYTES
    const length = count * BLOCK_BYTES
    return this.#bytes === null ? new Uint8Array(length) : this.#bytes.slice(from, from + length)
  }

  write(block: number, bytes: Uint8Array): void {
    this.#bytes ??= new Uint8Array(this.blocks * BLOCK_BYTES)
    this.#bytes.set(bytes, block * BLOCK_BYTES)
  }
}
