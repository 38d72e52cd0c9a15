/** Records every call and its answer, good or bad; the kernel below is asked each time. */
import { KernelError, type KernelView } from './kernel.ts'
import { emptyRecording, encodeBytes, type RecordedFailure, type Recording } from './recording.ts'

export interface Tracer {
  readonly kernel: KernelView
  readonly recording: Recording
}

export function traced(kernel: KernelView): Tracer {
  const recording = emptyRecording()
  function keep<T, R>(
    to: Record<string, R | RecordedFailure>,
    path: string,
    ask: () => T,
    encode: (answer: T) => R,
  ): T {
    try {
      const answer = ask()
      to[path] = encode(answer)
      return answer
    } catch (cause) {
      if (cause instanceof KernelError) to[path] = { error: cause.code }
      throw cause
    }
  }
  const same = <T>(answer: T): T => answer
  return {
    recording,
    kernel: {
      read: (path, limit) =>
        keep(recording.bytes, path, () => kernel.read(path, limit), encodeBytes),
      text: (path, limit) => keep(recording.text, path, () => kernel.text(path, limit), same),
      link: (path) => keep(recording.link, path, () => kernel.link(path), same),
      list: (path) => keep(recording.list, path, () => kernel.list(path), same),
      exists: (path) => {
        const found = kernel.exists(path)
        recording.exists[path] = found
        return found
      },
    },
  }
}
