/**
 * A second isogroup that outlives this one: in a session of its own (setsid), so that neither the end of
 * this process nor a hang-up of its terminal reaches it, with nothing of the terminal in its hands.
 */
import { spawn } from 'node:child_process'
import { IsogroupError } from '../base/errors.ts'

/** Resolves when it runs. @throws IsogroupError io */
export async function startDetached(argv: readonly string[]): Promise<void> {
  const program = process.argv[1] ?? ''
  const child = spawn(process.execPath, [...process.execArgv, program, ...argv], {
    cwd: '/',
    detached: true,
    stdio: 'ignore',
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', (cause) => {
      const message = `cannot start the process that watches for a confirmation: ${cause.message}`
      reject(
        new IsogroupError('io', message, 'look at the limits of this user: ulimit -u', { cause }),
      )
    })
  })
  child.unref()
}
