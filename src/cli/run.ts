/**
 * One run of the command line: parse, find the command, run it, and turn whatever happens into an
 * exit code. Everything outside comes in as a parameter, so tests run it without a process.
 */
import type { Host } from '../isolation/host.ts'
import type { CaptureRequest } from '../open/capture-source.ts'
import { AnsweredError } from './answered-error.ts'
import { EXIT, type Failure, failureLines, failureOf } from './failure.ts'
import { asksForHelp, helpText } from './help.ts'
import type { Invocation, Outside } from './invocation.ts'
import { API_VERSION } from './print-json.ts'
import type { ParsedLine } from './program.ts'
import { screenOver } from './screen.ts'
import { ClosedPipeError, type Stream } from './stream.ts'

export interface Surroundings extends Outside {
  readonly stdout: Stream
  readonly stderr: Stream
  version(): string
  /** @throws IsogroupError when there is no such source or it cannot be read */
  open(source: string): Promise<Host>
  /** Records a host into a file. @throws IsogroupError */
  capture(request: CaptureRequest): Promise<void>
}

/** @returns the exit code; never throws */
export async function runLine(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  let line: ParsedLine | null = null
  try {
    if (asksForHelp(argv)) {
      surroundings.stdout.write(helpText())
      return EXIT.done
    }
    const { parseLine } = await import('./program.ts')
    line = parseLine(
      argv,
      () => surroundings.version(),
      (text) => {
        surroundings.stdout.write(text)
      },
    )
    if (line === null) return EXIT.done
    const { run } = await line.command.load()
    await run(invocationFor(line, argv, surroundings), line.args, line.options)
    return EXIT.done
  } catch (error) {
    // A reader that has seen enough is no failure.
    if (error instanceof ClosedPipeError) return EXIT.done
    const failure = failureOf(error)
    // A line that could not be parsed may still have asked for JSON.
    const json = (line?.json ?? argv.includes('--json')) && !(error instanceof AnsweredError)
    report(failure, json, surroundings)
    return failure.exit
  }
}

function invocationFor(
  line: ParsedLine,
  argv: readonly string[],
  surroundings: Surroundings,
): Invocation {
  const { stdout, stderr, env } = surroundings
  return {
    source: line.source,
    json: line.json,
    numeric: line.numeric,
    kernel: line.kernel,
    out: screenOver(stdout, env, line.color),
    err: screenOver(stderr, env, line.color),
    open: (source) => surroundings.open(source),
    capture: (request) => surroundings.capture(request),
    outside: surroundings,
    argv,
  }
}

function report(failure: Failure, json: boolean, { stdout, stderr }: Surroundings): void {
  if (json) {
    const { code, message, hint } = failure
    const error = { apiVersion: API_VERSION, error: { code, message, hint } }
    writeIfPossible(stdout, `${JSON.stringify(error)}\n`)
  }
  writeIfPossible(stderr, `${failureLines(failure).join('\n')}\n`)
}

/** When even the failure cannot be written, the exit code is all that is left to say. */
function writeIfPossible(stream: Stream, text: string): void {
  try {
    stream.write(text)
  } catch {
    return
  }
}
