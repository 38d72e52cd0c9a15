/** What every command is given: the global options, two screens, and the way to a host. */
import type { KernelVersion } from '../base/kernel-version.ts'
import type { Host } from '../isolation/host.ts'
import type { CaptureRequest } from '../open/capture-source.ts'
import type { Screen } from './screen.ts'

export interface Invocation {
  /** The value of --host; "linux" when it was not given. */
  readonly source: string
  readonly json: boolean
  /** Numbers instead of names (-n). */
  readonly numeric: boolean
  /** The value of --kernel; null when it was not given. */
  readonly kernel: KernelVersion | null
  /** Data. */
  readonly out: Screen
  /** Messages. */
  readonly err: Screen
  /** @throws IsogroupError when there is no such source or it cannot be read */
  open(source: string): Promise<Host>
  /** Records a host into a file. @throws IsogroupError */
  capture(request: CaptureRequest): Promise<void>
}

/** Values of a command's own options, by their long name. */
export type CommandOptions = Readonly<Record<string, boolean | undefined>>

export type CommandRunner = (
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
) => Promise<void>
