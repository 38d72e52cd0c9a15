/**
 * Loading kernel modules with modprobe(8), which knows what depends on what, what is an alias of what, and
 * what the administrator forbade. No shell is involved and the name is checked before it gets there.
 *
 * Loading runs the drivers' own code: probing a device can hang, and a process in the middle of it cannot be
 * killed. So there is a deadline, after which modprobe is left behind to end when it can.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { KernelError } from '../kernel.ts'
import { errnoOf } from './failure.ts'

const NAME = /^[A-Za-z0-9_-]{1,64}$/

/** Where the kernel itself calls modprobe; empty when the administrator forbids that it does. */
const CONFIGURED = '/proc/sys/kernel/modprobe'
const USUAL = '/sbin/modprobe'
/** More than modprobe ever says. */
const MESSAGE_CHARACTERS_MAX = 4096

/** What the C library calls the errno of init_module(2), as modprobe prints it, and modprobe's own words. */
const MESSAGES: readonly (readonly [text: string, code: string])[] = [
  ['not found in directory', 'ENOENT'],
  ['Operation not permitted', 'EPERM'],
  ['Permission denied', 'EACCES'],
  ['Key was rejected by service', 'EKEYREJECTED'],
  ['Required key not available', 'ENOKEY'],
  ['Exec format error', 'ENOEXEC'],
  ['Invalid argument', 'EINVAL'],
  ['No such device', 'ENODEV'],
  ['Unknown symbol', 'ENOENT'],
]

/** @param program run in place of modprobe @throws KernelError as Kernel.loadModule */
export async function loadKernelModule(
  name: string,
  deadline: number,
  program: string = modprobe(),
): Promise<void> {
  if (!NAME.test(name) || name.startsWith('-')) throw new KernelError('EINVAL', 'load', name)
  const child = spawn(program, ['--', name], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    // Its messages are read below.
    env: { ...process.env, LC_ALL: 'C' },
    // Ctrl-C on our terminal must not stop it halfway.
    detached: true,
  })
  const code = await outcome(child, deadline)
  if (code !== null) throw new KernelError(code, 'load', name)
}

function modprobe(): string {
  try {
    const configured = readFileSync(CONFIGURED, 'utf8').trim()
    return configured.startsWith('/') ? configured : USUAL
  } catch {
    // Kernels without loadable modules do not have the file.
    return USUAL
  }
}

/** @returns errno; null: done */
function outcome(child: ChildProcess, deadline: number): Promise<string | null> {
  return new Promise((resolve) => {
    let message = ''
    const timer = setTimeout(() => {
      child.unref()
      child.stderr?.destroy()
      resolve('ETIMEDOUT')
    }, deadline)
    const finish = (code: string | null): void => {
      clearTimeout(timer)
      resolve(code)
    }
    child.stderr?.on('data', (part: Buffer) => {
      if (message.length < MESSAGE_CHARACTERS_MAX) message += part.toString('utf8')
    })
    child.on('error', (cause) => {
      finish(errnoOf(cause))
    })
    child.on('close', (status) => {
      finish(status === 0 ? null : errnoIn(message))
    })
  })
}

function errnoIn(message: string): string {
  return MESSAGES.find(([text]) => message.includes(text))?.[1] ?? 'EIO'
}
