/** What every command is given: the global options, two screens, and the way to a host. */
import type { KernelVersion } from '../base/kernel-version.ts'
import type { Host } from '../isolation/host.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import type { CaptureRequest } from '../open/capture-source.ts'
import type { Clock } from '../service/state-directory.ts'
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
  /** What commands that change the host need besides. */
  readonly outside: Outside
  /** The words after the program's name, as given. */
  readonly argv: readonly string[]
}

/** The world that claims are made in, without the process it all runs in. */
export interface Outside {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The user that isogroup runs as. */
  readonly uid: number
  readonly clock: Clock
  /**
   * A host that can be changed.
   * @param state folder in which a model keeps what was done to it; null = nothing is kept
   * @throws IsogroupError when there is no such source, or it is only a record of a host
   */
  openLive(source: string, state: string | null): Promise<LiveHost>
  /** Asks a person; null when nobody is there or nothing was answered. */
  ask(question: string): Promise<string | null>
  /** Runs isogroup with these arguments in a process of its own that outlives this one and its terminal. */
  startDetached(argv: readonly string[]): Promise<void>
  /** Aborted when the user or the system asks the program to end (SIGINT, SIGTERM). */
  interruption(): AbortSignal
}

/** Values of a command's own options, by their long name: true for flags, all that were given for others. */
export type CommandOptions = Readonly<Record<string, boolean | readonly string[] | undefined>>

export type CommandRunner = (
  invocation: Invocation,
  args: readonly string[],
  options: CommandOptions,
) => Promise<void>
