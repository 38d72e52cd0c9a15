/** Records the host behind a source into a capture file: what `isogroup capture` does. */
import { IsogroupError } from '../base/errors.ts'
import { openKernel } from './open-host.ts'

export interface CaptureRequest {
  /** "linux" or "linux:DIR": what is only facts already cannot be recorded again. */
  readonly source: string
  readonly path: string
  /** Keep serial numbers, MAC addresses and the like. */
  readonly identifiers: boolean
  /** Replace the file when it exists. */
  readonly overwrite: boolean
}

/** @throws IsogroupError usage (a source that cannot be recorded), io */
export async function captureSource(request: CaptureRequest): Promise<void> {
  const opened = await openKernel(request.source)
  if (opened === null) {
    throw new IsogroupError(
      'usage',
      `"${request.source}" cannot be recorded: it is no running host and no tree of one`,
      'capture on the host itself, or give --host linux:DIR',
    )
  }
  const { captureHost } = await import('../linux/capture.ts')
  const { writeCapture } = await import('./capture-file.ts')
  const { kernel, source, fallbackNames } = opened
  const document = captureHost(kernel, source, request.identifiers, fallbackNames)
  writeCapture(request.path, document, request.overwrite)
}
