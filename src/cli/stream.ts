/**
 * Output streams: text to a file descriptor, at once.
 *
 * Writing synchronously keeps two promises: everything is out when the command ends, and a reader
 * that goes away (`isogroup ls | head -1`) ends the command quietly, there and then. It also spares
 * the start-up cost of process.stdout.
 */
import { fstatSync, writeSync } from 'node:fs'
import { IsogroupError } from '../base/errors.ts'

export interface Stream {
  /** @throws ClosedPipeError when nobody reads any more, IsogroupError io */
  write(text: string): void
  readonly isTerminal: boolean
  /** Columns of the terminal; null when it is none or does not tell. */
  readonly columns: number | null
}

/** The reader went away. Not a failure of the command: it ends, silently. */
export class ClosedPipeError extends Error {
  constructor() {
    super('the reader of the output went away')
    this.name = 'ClosedPipeError'
  }
}

/** Standard output (1) or standard error (2). */
export function standardStream(descriptor: 1 | 2): Stream {
  const columns = terminalColumns(descriptor)
  return {
    isTerminal: columns !== null,
    columns: columns === 0 ? null : columns,
    write: (text) => {
      writeAll(Buffer.from(text), (bytes, from) => writeSync(descriptor, bytes, from))
    },
  }
}

/** null: no terminal; 0: a terminal that does not know its width (a serial console). */
function terminalColumns(descriptor: 1 | 2): number | null {
  // Node's own stream objects cost milliseconds to make: touch them only where a terminal is possible.
  try {
    if (!fstatSync(descriptor).isCharacterDevice()) return null
  } catch {
    return null
  }
  const terminal: { isTTY?: boolean; columns?: number } =
    descriptor === 1 ? process.stdout : process.stderr
  return terminal.isTTY === true ? (terminal.columns ?? 0) : null
}

/** Milliseconds between tries when a pipe is full and somebody else made it non-blocking. */
const FULL_PIPE_PAUSE = 2

/**
 * Writes until everything is out.
 * @param write takes bytes from an offset on; returns how many it took, or throws as writeSync does
 */
export function writeAll(
  bytes: Uint8Array,
  write: (bytes: Uint8Array, from: number) => number,
): void {
  let done = 0
  while (done < bytes.length) {
    try {
      done += write(bytes, done)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EPIPE') throw new ClosedPipeError()
      if (code !== 'EAGAIN') {
        throw new IsogroupError(
          'io',
          `cannot write the output: ${code ?? 'unknown error'}`,
          'look at where the output goes: is its disk full?',
          { cause: error },
        )
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_PAUSE)
    }
  }
}
