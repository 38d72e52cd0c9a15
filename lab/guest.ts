/**
 * A booted machine that runs commands for us.
 *
 *   const guest = await bootGuest(machine, kernel, { cacheRoot, program })
 *   const listed = await guest.run({ run: 'isogroup ls --json', as: 'user' })
 *   await guest.shutDown()
 *
 * Every wait has a deadline; when one passes, or the guest dies, the error carries the end of the
 * console log. The working directory of a boot is removed when the guest ends, unless it is kept.
 */
import { rmSync } from 'node:fs'
import { appendFile, copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ByteReader } from './byte-reader.ts'
import { baseArchive, type GuestProgram, programArchive } from './initramfs.ts'
import type { Kernel } from './kernels.ts'
import {
  consoleTail,
  diskBytes,
  type Machine,
  qemuArguments,
  qemuFiles,
  startQemu,
} from './qemu.ts'
import type { QemuFiles, QemuProcess } from './qemu.ts'
import { QmpClient } from './qmp.ts'

export type Step = {
  /** A shell script, or the words of one command. */
  readonly run: string | readonly string[]
  readonly as?: 'root' | 'user'
  /** Files of the guest wanted afterwards; one that does not exist is left out. */
  readonly fetch?: readonly string[]
  readonly deadlineMs?: number
}

export type StepResult = {
  readonly code: number
  readonly stdout: Buffer
  readonly stderr: string
  readonly milliseconds: number
  readonly files: ReadonlyMap<string, Buffer>
}

export type BootOptions = {
  readonly cacheRoot: string
  readonly program?: GuestProgram | undefined
  readonly bootDeadlineMs?: number
  /** Keeps the working directory with the console log. */
  readonly keep?: boolean
}

// Ten times what an idle host needs: a busy one must not fail for being slow.
const bootDeadlineMsDefault = 300_000
const stepDeadlineMsDefault = 180_000
const shutDownDeadlineMs = 20_000

/** Boots a machine and waits until it can run commands. */
export async function bootGuest(
  machine: Machine,
  kernel: Kernel,
  options: BootOptions,
): Promise<Guest> {
  const directory = await makeWorkDirectory(options.keep ?? false)
  const files = qemuFiles(directory.path)
  const server = createServer()
  try {
    const initrd = join(directory.path, 'initrd.cpio')
    await copyFile(await baseArchive(kernel, options.cacheRoot), initrd)
    if (options.program !== undefined) {
      await appendFile(initrd, await programArchive(options.program))
    }
    for (const name of machine.disks ?? []) {
      await writeFile(files.disk(name), '')
      await truncate(files.disk(name), diskBytes)
    }
    const connection = acceptOne(server, files.port)
    const started = performance.now()
    const qemu = startQemu(qemuArguments(machine, kernel, initrd, files))
    const guest = new Guest(machine, directory, files, qemu)
    await guest.connect(connection, options.bootDeadlineMs ?? bootDeadlineMsDefault, started)
    await rm(initrd)
    return guest
  } catch (error) {
    await directory.remove()
    throw error
  } finally {
    server.close()
  }
}

type WorkDirectory = {
  readonly path: string
  readonly remove: () => Promise<void>
}

/** Of the guests that live. */
const workDirectories = new Set<string>()

function removeAllNow(): void {
  for (const path of workDirectories) rmSync(path, { recursive: true, force: true })
}

/** A directory that goes when the guest goes, even when the lab is interrupted. */
async function makeWorkDirectory(keep: boolean): Promise<WorkDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'isogroup-lab-'))
  if (keep) return { path, remove: () => Promise.resolve() }
  if (workDirectories.size === 0) process.once('exit', removeAllNow)
  workDirectories.add(path)
  const remove = async (): Promise<void> => {
    await rm(path, { recursive: true, force: true })
    workDirectories.delete(path)
    if (workDirectories.size === 0) process.off('exit', removeAllNow)
  }
  return { path, remove }
}

export class Guest {
  bootMilliseconds = 0
  readonly #machine: Machine
  readonly #files: QemuFiles
  readonly #qemu: QemuProcess
  readonly #work: WorkDirectory
  readonly #reader = new ByteReader()
  #socket: Socket | undefined
  #control: QmpClient | undefined
  #stepNumber = 0

  constructor(machine: Machine, work: WorkDirectory, files: QemuFiles, qemu: QemuProcess) {
    this.#machine = machine
    this.#work = work
    this.#files = files
    this.#qemu = qemu
  }

  /** Where console log and sockets are while the guest lives; afterwards only when kept. */
  get directory(): string {
    return this.#work.path
  }

  /** Waits for the guest's first word. Called once, by bootGuest. */
  async connect(connection: Promise<Socket>, deadlineMs: number, started: number): Promise<void> {
    this.#qemu.ended.then(
      ({ code, stderr }) => {
        this.#reader.end(new Error(`QEMU ended with code ${code}: ${stderr.trim()}`))
      },
      (error: unknown) => {
        this.#reader.end(new Error('QEMU did not start', { cause: error }))
      },
    )
    connection.then(
      (socket) => {
        this.#socket = socket
        socket.on('data', (chunk) => this.#reader.push(chunk))
        socket.on('error', (error) => this.#reader.end(error))
      },
      (error: unknown) =>
        this.#reader.end(error instanceof Error ? error : new Error(String(error))),
    )
    const hello = await this.#before(deadlineMs, 'boot', this.#reader.line())
    if (!hello.startsWith('HELLO ')) throw this.#failure(`said ${hello} instead of HELLO`)
    this.bootMilliseconds = Math.round(performance.now() - started)
  }

  /** QEMU's control socket, for plugging devices in and out. */
  async control(): Promise<QmpClient> {
    this.#control ??= await QmpClient.connect(this.#files.control)
    return this.#control
  }

  /** Runs one step and returns all it printed, with the files asked for. */
  async run(step: Step): Promise<StepResult> {
    const started = performance.now()
    const script = typeof step.run === 'string' ? step.run : step.run.map(shellQuote).join(' ')
    const deadlineMs = step.deadlineMs ?? stepDeadlineMsDefault
    const result = await this.#send(script, step.as ?? 'root', deadlineMs)
    const milliseconds = Math.round(performance.now() - started)
    const files = new Map<string, Buffer>()
    for (const path of step.fetch ?? []) {
      const fetched = await this.#send(`cat ${shellQuote(path)}`, 'root', deadlineMs)
      if (fetched.code === 0) files.set(path, fetched.stdout)
    }
    return { ...result, milliseconds, files }
  }

  async #send(
    script: string,
    as: 'root' | 'user',
    deadlineMs: number,
  ): Promise<{ readonly code: number; readonly stdout: Buffer; readonly stderr: string }> {
    this.#stepNumber += 1
    const number = this.#stepNumber
    const encoded = Buffer.from(`${script}\n`).toString('base64')
    this.#socket?.write(`RUN ${number} ${as} ${encoded}\n`)
    const what = `step ${number} (${script.slice(0, 120)})`
    const header = await this.#before(deadlineMs, what, this.#reader.line())
    const [, answered, code, lengthOut, lengthErr] = parseAnswer(header)
    if (answered !== number) throw this.#failure(`answered "${header}" to ${what}`)
    const stdout = await this.#before(deadlineMs, what, this.#reader.bytes(lengthOut))
    const stderr = await this.#before(deadlineMs, what, this.#reader.bytes(lengthErr))
    return { code, stdout, stderr: stderr.toString('utf8') }
  }

  /** The guest's console so far: the kernel's messages. */
  consoleTail(lineCount?: number): string {
    return consoleTail(this.#files.console, lineCount)
  }

  /** Powers the guest off, or kills it when it does not listen, and cleans up. */
  async shutDown(): Promise<void> {
    this.#socket?.write('END\n')
    const timer = setTimeout(this.#qemu.kill, shutDownDeadlineMs)
    await this.#qemu.ended.catch(() => undefined)
    clearTimeout(timer)
    await this.#cleanUp()
  }

  async #cleanUp(): Promise<void> {
    this.#control?.close()
    this.#socket?.destroy()
    await this.#work.remove()
  }

  async #before<T>(deadlineMs: number, what: string, result: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const expired = new Promise<never>((_resolve, reject) => {
      const message = `nothing for ${deadlineMs} ms during ${what}`
      timer = setTimeout(() => reject(new Error(message)), deadlineMs)
    })
    try {
      return await Promise.race([result, expired])
    } catch (error) {
      const failure = this.#failure(error instanceof Error ? error.message : String(error))
      this.#qemu.kill()
      await this.#qemu.ended.catch(() => undefined)
      await this.#cleanUp()
      throw failure
    } finally {
      clearTimeout(timer)
    }
  }

  #failure(what: string): Error {
    return new Error(`guest ${this.#machine.name}: ${what}\nconsole:\n${this.consoleTail()}`)
  }
}

/** Reads `DONE number code bytes-out bytes-err`; anything else gives NaN, which equals nothing. */
export function parseAnswer(line: string): readonly [string, number, number, number, number] {
  const [verb = '', ...numbers] = line.split(' ')
  const [number = NaN, code = NaN, out = NaN, err = NaN] = numbers.map(Number)
  return verb === 'DONE' ? [verb, number, code, out, err] : [verb, NaN, NaN, NaN, NaN]
}

/** One word, safe from the shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

function acceptOne(server: Server, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    server.once('connection', resolve)
    server.once('error', reject)
    server.listen(path)
  })
}
