/** Hosts and runs for tests of the command line: no process, no files. */
import type {
  DeviceDetails,
  Host,
  HostReadiness,
  HostService,
  HostSnapshot,
} from '../isolation/host.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import type { CaptureRequest } from '../open/capture-source.ts'
import { known, unknown } from '../base/fact.ts'
import type { Clock } from '../service/state-directory.ts'
import { SYSTEM_CLOCK } from '../open/system-clock.ts'
import type { Outside } from './invocation.ts'
import { runLine } from './run.ts'
import { ClosedPipeError, type Stream } from './stream.ts'

const NOT_SAID = unknown('not said')

const READINESS: HostReadiness = {
  acpiTables: NOT_SAID,
  cpuVendor: NOT_SAID,
  cpuFlags: NOT_SAID,
  machine: NOT_SAID,
  uid: NOT_SAID,
  memlock: NOT_SAID,
  memory: NOT_SAID,
  mayLockMemory: NOT_SAID,
  vfioPciAvailable: NOT_SAID,
}

/** @param services what the host uses functions for, by address */
export function hostOf(
  snapshot: HostSnapshot,
  services: Readonly<Record<string, readonly HostService[]>> = {},
): Host {
  return {
    snapshot: () => snapshot,
    details: (addresses) => addresses.map((address) => detailsOf(address, services[address] ?? [])),
    readiness: () => READINESS,
  }
}

function detailsOf(address: string, services: readonly HostService[]): DeviceDetails {
  return {
    address,
    services: known(services),
    driverOverride: known(null),
    numaNode: known(null),
    powerState: known('D0'),
    runtimeStatus: known('active'),
    unit: known('dmar0'),
    sriov: known(null),
    configHex: NOT_SAID,
  }
}

export interface Outcome {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly capture?: (request: CaptureRequest) => Promise<void>
  readonly host?: Host
  readonly open?: (source: string) => Promise<Host>
  readonly env?: Readonly<Record<string, string>>
  /** Columns of a terminal on stdout; none by default. */
  readonly columns?: number
  /** The reader goes away after so many writes. */
  readonly readerLeavesAfter?: number
  readonly openLive?: (source: string, state: string | null) => Promise<LiveHost>
  /** Root by default. */
  readonly uid?: number
  /** What the person at the terminal answers; nobody is there by default. */
  readonly answer?: string
  readonly clock?: Clock
  /** Takes the command lines of processes that would be started. */
  readonly detached?: (argv: readonly string[]) => Promise<void>
  readonly interruption?: AbortSignal
}

/** Runs a command line as the program would, everything written kept. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  let [stdout, stderr, writes] = ['', '', 0]
  const out: Stream = {
    isTerminal: options.columns !== undefined,
    columns: options.columns ?? null,
    write: (text) => {
      if (writes++ === options.readerLeavesAfter) throw new ClosedPipeError()
      stdout += text
    },
  }
  const err: Stream = { isTerminal: false, columns: null, write: (text) => void (stderr += text) }
  const exit = await runLine(argv, {
    stdout: out,
    stderr: err,
    version: () => '1.2.3',
    open: (source) => {
      if (options.open !== undefined) return options.open(source)
      if (options.host === undefined) throw new Error(`the test gives no host for ${source}`)
      return Promise.resolve(options.host)
    },
    ...outside(options, err),
    capture: options.capture ?? (() => Promise.reject(new Error('the test captures nothing'))),
  })
  return { exit, stdout, stderr }
}

function outside(options: RunOptions, err: Stream): Outside {
  const nobody = (): never => {
    throw new Error('the test starts no process and opens no live host')
  }
  return {
    env: options.env ?? { LANG: 'C.UTF-8' },
    uid: options.uid ?? 0,
    clock: options.clock ?? SYSTEM_CLOCK,
    openLive: options.openLive ?? nobody,
    ask: (question) => {
      if (options.answer !== undefined) err.write(`${question}${options.answer}\n`)
      return Promise.resolve(options.answer ?? null)
    },
    startDetached: options.detached ?? nobody,
    interruption: () => options.interruption ?? new AbortController().signal,
  }
}
