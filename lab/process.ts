/**
 * Runs a program on the host and waits for it. Everything the lab starts, apart from QEMU itself,
 * goes through here, so that every failure names the command, its exit code and the end of what it
 * said, and nothing can run past its deadline.
 */
import { spawn } from 'node:child_process'

export type ProcessResult = {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
}

export type ProcessOptions = {
  readonly cwd?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly deadlineMs?: number
}

const deadlineMsDefault = 300_000
const errorTailLength = 2_000

/** Runs a program to its end and returns what it said, whatever its exit code. */
export function runProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<ProcessResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.deadlineMs ?? deadlineMsDefault,
      killSignal: 'SIGKILL',
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const text = Buffer.concat(stderr).toString('utf8')
      const killed = signal === null ? '' : `\nkilled by ${signal} (deadline or operator)`
      resolve({ code: code ?? 128, stdout: Buffer.concat(stdout), stderr: text + killed })
    })
  })
}

/** Runs a program that must succeed; the error otherwise shows the command and the end of stderr. */
export async function runOrThrow(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): Promise<Buffer> {
  const result = await runProcess(command, args, options)
  if (result.code !== 0) {
    const tail = result.stderr.trim().slice(-errorTailLength)
    throw new Error(`${[command, ...args].join(' ')} exited with ${result.code}: ${tail}`)
  }
  return result.stdout
}
