/**
 * Writes that may hang, made by processes that may be left behind.
 *
 * A write to sysfs runs a driver's code. Unbinding a device that a program uses waits, for ever if need
 * be: first interruptibly, and once a signal came, deaf to SIGKILL too. In this process such a write
 * would hold a thread of Node's pool and keep the process from ending. So another process writes. It is
 * kept for the next write; when a deadline passes it is abandoned, ends by itself when its write does,
 * and the next write gets a new one.
 *
 *     us --  {"path":"/sys/...","bytes":"MQo="}\n  -->  writer:  open(O_WRONLY), one write, close
 *        <--               {"errno":16}\n          --
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { errnoName } from '../abi/errno.ts'
import { KernelError } from '../kernel.ts'
import { refuseClimbing } from './failure.ts'

/**
 * The writer. Opening does not create or truncate: a missing file is ENOENT, and only what the write
 * itself says is reported. A kernel that takes only some of the bytes has taken the value (sysfs cuts
 * at one page). What was asked for by a process that has been killed since is not done any more.
 *
 * It blocks on its pipes, with nothing of Node but the file system loaded: it has to be there soon.
 */
const SCRIPT = `
const { openSync, readSync, writeSync, closeSync, constants } = require('node:fs')
const parent = Number(process.argv[1])
const buffer = Buffer.alloc(65536)
let received = ''
for (;;) {
  const length = readSync(0, buffer, 0, buffer.length, null)
  if (length === 0 || process.ppid !== parent) break
  received += buffer.toString('utf8', 0, length)
  if (!received.endsWith('\\n')) continue
  const { path, bytes } = JSON.parse(received)
  received = ''
  let errno = 0
  try {
    const fd = openSync(path, constants.O_WRONLY | constants.O_NOCTTY)
    try {
      writeSync(fd, Buffer.from(bytes, 'base64'))
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    errno = typeof error.errno === 'number' ? -error.errno : -1
  }
  try {
    writeSync(1, JSON.stringify({ errno }) + '\\n')
  } catch {
    break
  }
}
`

/** Idle writers that are kept: writes come one after the other, rarely two at a time. */
const IDLE_MAX = 2

export interface FileWriter {
  /** Starts a writer, unless one waits already. */
  expect(): void
  /** @throws KernelError the errno of open or write; ETIMEDOUT; EIO when the writer died */
  write(path: string, bytes: Uint8Array, deadline: number): Promise<void>
}

interface Writer {
  readonly child: ChildProcess
  /** Answers one request; null when the process ended without an answer. */
  ask(request: string): Promise<number | null>
  /** Whether it may keep this process alive. */
  hold(hold: boolean): void
}

/** @param prefix put in front of every path */
export function fileWriter(prefix: string): FileWriter {
  const idle: Writer[] = []
  return {
    expect() {
      if (idle.length > 0) return
      const writer = startWriter()
      writer.hold(false)
      idle.push(writer)
    },
    async write(path, bytes, deadline) {
      refuseClimbing('write', path)
      const writer = idle.pop() ?? startWriter()
      writer.hold(true)
      const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
      const request = JSON.stringify({ path: prefix + path, bytes: text })
      const answer = await before(deadline, writer.ask(request))
      writer.hold(false)
      if (answer === 'late') {
        abandon(writer)
        throw new KernelError('ETIMEDOUT', 'write', path)
      }
      if (answer === null) throw new KernelError('EIO', 'write', path)
      if (idle.length < IDLE_MAX) idle.push(writer)
      else abandon(writer)
      if (answer !== 0) throw new KernelError(errnoName(answer), 'write', path)
    },
  }
}

/** Without its pipes the process ends as soon as it can; nothing of ours waits for that. */
function abandon(writer: Writer): void {
  writer.child.stdin?.destroy()
  writer.child.stdout?.destroy()
}

async function before<T>(deadline: number, answer: Promise<T>): Promise<T | 'late'> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), deadline)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function startWriter(): Writer {
  const child = spawn(process.execPath, ['--eval', SCRIPT, '--', String(process.pid)], {
    stdio: ['pipe', 'pipe', 'ignore'],
    cwd: '/',
    env: { ...process.env, NODE_OPTIONS: '' },
    // Its own session: Ctrl-C on our terminal must not turn a waiting write into a deaf one.
    detached: true,
  })
  const { stdin, stdout } = child
  child.unref()
  let pending: ((answer: number | null) => void) | null = null
  let received = ''
  const settle = (answer: number | null): void => {
    pending?.(answer)
    pending = null
  }
  child.on('error', () => settle(null))
  child.on('exit', () => settle(null))
  stdin.on('error', () => settle(null))
  stdout.setEncoding('utf8')
  stdout.on('data', (text: string) => {
    received += text
    if (!received.endsWith('\n')) return
    const { errno } = JSON.parse(received) as { errno: number }
    received = ''
    settle(errno)
  })
  return {
    child,
    ask: (request) =>
      new Promise((resolve) => {
        pending = resolve
        stdin.write(`${request}\n`)
      }),
    hold(hold) {
      for (const stream of [stdin, stdout]) reference(stream, hold)
    },
  }
}

/** Pipes of a child are sockets, which Node's types do not tell. */
function reference(stream: Readable | Writable, hold: boolean): void {
  if (!(stream instanceof Socket)) return
  if (hold) stream.ref()
  else stream.unref()
}
