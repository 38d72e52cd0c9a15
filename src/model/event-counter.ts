/**
 * eventfd: a counter that somebody adds to and somebody else takes (fs/eventfd.c). VFIO reports
 * interrupts through it, and listens on it for unmasking and for register writes on behalf of others.
 */
import { Errno } from './errno.ts'
import type { OpenFile } from './process.ts'

export class EventCounter implements OpenFile {
  readonly kind = 'eventfd'
  #count = 0
  #released = false
  readonly #listeners = new Set<() => void>()
  readonly #onRelease = new Set<() => void>()

  /** What a read would give; reading takes it. */
  get count(): number {
    return this.#count
  }

  /** eventfd_signal(): adds, and wakes whoever waits. Counts stay exact up to 2^53. */
  signal(count = 1): void {
    this.#count += count
    // A listener may stop listening while it runs.
    for (const listener of [...this.#listeners]) listener()
  }

  /** Takes the count and sets it to 0; 0 when nothing happened. */
  take(): number {
    const count = this.#count
    this.#count = 0
    return count
  }

  /**
   * Called after every signal, and at once when the count is not 0.
   * @returns a function that stops it
   */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    if (this.#count > 0) listener()
    return () => this.#listeners.delete(listener)
  }

  /** Called when the last descriptor is closed (EPOLLHUP). */
  onRelease(listener: () => void): () => void {
    if (this.#released) listener()
    else this.#onRelease.add(listener)
    return () => this.#onRelease.delete(listener)
  }

  /** Eight bytes: the count. @throws Errno EINVAL (shorter buffer), EAGAIN (nothing to take) */
  read(_offset: number, length: number): Uint8Array {
    if (length < 8) throw new Errno('EINVAL', 'an eventfd is read in 8 bytes')
    if (this.#count === 0) throw new Errno('EAGAIN')
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.take()), true)
    return bytes
  }

  /** Adds the number in the first eight bytes. @throws Errno EINVAL */
  write(_offset: number, bytes: Uint8Array): number {
    if (bytes.length < 8) throw new Errno('EINVAL', 'an eventfd is written in 8 bytes')
    const added = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)
    if (added === 0xffff_ffff_ffff_ffffn) throw new Errno('EINVAL', 'the counter cannot hold it')
    this.signal(Number(added))
    return 8
  }

  release(): undefined {
    this.#released = true
    for (const listener of this.#onRelease) listener()
    this.#onRelease.clear()
  }
}
