/**
 * What every tool needs: where the project is, how to run a program, and how to end with a message.
 *
 * The tools named *.mjs run on plain Node before anything is installed, so they import nothing but
 * Node's own modules at their top; what npm installs is imported only after set-up.
 */
import { spawn } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder that holds package.json. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Says in one line on stderr what a tool is doing; stdout stays free for data. */
export function say(line) {
  process.stderr.write(`${line}\n`)
}

/** Whether the module was started as a program rather than imported. */
export function isMain(moduleUrl) {
  const started = process.argv[1]
  return started !== undefined && realpathSync(started) === fileURLToPath(moduleUrl)
}

/**
 * Runs a program to its end. `output: 'keep'` collects stdout and stderr, in the order they came;
 * `'show'` passes them on.
 * @returns {Promise<{ code: number, output: string }>} code 128 when a signal ended it
 */
export function run(command, args, { output = 'keep', env = {}, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const show = output === 'show'
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: show ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    })
    const chunks = []
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      resolve({ code: code ?? 128, output: Buffer.concat(chunks).toString('utf8') })
    })
  })
}

/** Runs npm: the one that started us, or the one on the path. */
export function runNpm(args, options) {
  const started = process.env['npm_execpath']
  return started?.endsWith('.js') === true
    ? run(process.execPath, [started, ...args], options)
    : run('npm', args, options)
}

/** Runs a tool's main function; an error ends the program with its message alone. */
export async function runTool(main) {
  try {
    process.exitCode = (await main()) ?? 0
  } catch (error) {
    say(error instanceof ToolError ? error.message : String(error?.stack ?? error))
    process.exitCode = 1
  }
}

/** A failure whose message says all a person needs: no stack is shown. */
export class ToolError extends Error {}
