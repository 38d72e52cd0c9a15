/**
 * Lines and counted bytes out of a stream that delivers chunks of any size. The guest's answers are
 * a text line that announces lengths, followed by that many raw bytes.
 */
export class ByteReader {
  #chunks: Buffer[] = []
  #ended: Error | undefined
  #wake: () => void = () => undefined

  /** Takes the next chunk of the stream. */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
    this.#wake()
  }

  /** Ends the stream: whoever waits for bytes that never came gets the error. */
  end(reason: Error): void {
    this.#ended ??= reason
    this.#wake()
  }

  /** The next line, without its newline. */
  async line(): Promise<string> {
    for (;;) {
      const buffered = this.#join()
      const end = buffered.indexOf(0x0a)
      if (end >= 0) return (await this.bytes(end + 1)).subarray(0, end).toString('utf8')
      await this.#more()
    }
  }

  /** Exactly so many bytes. */
  async bytes(count: number): Promise<Buffer> {
    while (this.#length() < count) await this.#more()
    const buffered = this.#join()
    this.#chunks = [buffered.subarray(count)]
    return buffered.subarray(0, count)
  }

  #length(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  #join(): Buffer {
    const [first, ...others] = this.#chunks
    if (first !== undefined && others.length === 0) return first
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }

  async #more(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
}
