/**
 * Models that remember: what one command did to a model, the next finds done. A model is a program's memory,
 * so what is kept is the list of changes that were made through the Kernel port, with their answers. Every
 * command boots the machine and does them again; the model has no clock and no chance in it, so each gives the
 * answer it gave before, and the machine is where it was.
 *
 *     {"format":"isogroup-kept-model","version":1,"machine":"desktop","digest":"5f1c...","bootId":"..."}
 *     {"write":"/sys/bus/pci/drivers/nvme/unbind","text":"0000:02:00.0\n","answer":"done"}
 *     {"chown":"/dev/vfio/7","uid":1000,"gid":1000,"answer":"done"}
 *     {"load":"nothing","answer":"ENOENT"}
 *
 * A line counts from its newline on: one that was cut was never answered to anybody, so it did not happen.
 * Another answer than before is an error: then the machine is another, or the file was edited. Programs that
 * use devices end with the command they run in, so a write that waited for one (ETIMEDOUT) may go on.
 * Removing the file switches the machine off and on: it gets a new boot id.
 */
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { IsogroupError } from '../base/errors.ts'
import { type Kernel, KernelError } from '../kernel/kernel.ts'
import type { MachineDescription } from '../model/machine/description.ts'
import { bootModel } from '../model/model.ts'
import {
  changeText,
  damagedLine,
  headingText,
  type KeptChange,
  type KeptHeading,
  parseHeading,
  parseLine,
} from './kept-line.ts'
import { makeFolder } from '../service/make-folder.ts'
import { kernelOf } from './model-host.ts'

/** A hundred thousand changes: more than any person makes. */
const FILE_BYTES_MAX = 32 * 1024 * 1024
/** Nobody uses a device while changes are repeated, so each is over at once; milliseconds. */
const REPLAY_DEADLINE = 1000

/**
 * Boots the machine, and does again what is kept of it.
 * @param name of the machine, as a part of the file's name
 * @param directory of the file; null: nothing is kept
 * @throws IsogroupError bad-machine (a damaged file, another machine), io
 */
export async function keptModel(
  name: string,
  machine: MachineDescription,
  directory: string | null,
): Promise<Kernel> {
  if (directory === null) return kernelOf(bootModel(machine))
  const file = join(directory, `model-${name}.jsonl`)
  const digest = createHash('sha256').update(JSON.stringify(machine)).digest('hex')
  const [first, ...lines] = completeLines(file)
  const heading =
    first === undefined ? { machine: name, digest, bootId: newBootId() } : parseHeading(file, first)
  if (heading.digest !== digest || heading.machine !== name) {
    throw damagedLine(file, 1, `what follows was done to another machine than ${name} is now`)
  }
  const kernel = kernelOf(bootModel(machine, { bootId: heading.bootId }))
  for (const [index, line] of lines.entries()) await repeat(kernel, file, index + 2, line)
  return keeping(kernel, keeperOf(file, heading))
}

/** Of a file that is not there: none. What follows the last newline is cut off. @throws IsogroupError io */
function completeLines(file: string): readonly string[] {
  try {
    const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0
    if (size > FILE_BYTES_MAX) throw new TooLong()
    if (size === 0) return []
    const bytes = readFileSync(file)
    const end = bytes.lastIndexOf('\n') + 1
    if (end < bytes.length) truncateSync(file, end)
    const lines = bytes.toString('utf8', 0, end).split('\n')
    return lines.slice(0, -1)
  } catch (cause) {
    throw unkept(file, cause)
  }
}

class TooLong extends Error {
  readonly code = `it has more than ${String(FILE_BYTES_MAX)} bytes`
}

function unkept(file: string, cause: unknown): IsogroupError {
  const code = (cause as { code?: string }).code ?? 'EIO'
  return new IsogroupError(
    'io',
    `what is done to the model cannot be kept in ${file}: ${code}`,
    'Name a folder that can be written, or none: then nothing is kept.',
    { cause },
  )
}

/** @throws IsogroupError bad-machine */
async function repeat(kernel: Kernel, file: string, number: number, line: string): Promise<void> {
  const { change, answer } = parseLine(file, number, line)
  const now = await answerTo(() => make(kernel, change, REPLAY_DEADLINE))
  if (now === answer || answer === 'ETIMEDOUT') return
  throw damagedLine(file, number, `the model answered "${answer}" to this before, and now "${now}"`)
}

function make(kernel: Kernel, change: KeptChange, deadline: number): Promise<void> {
  switch (change.kind) {
    case 'write':
      return kernel.write(change.path, change.bytes, deadline)
    case 'chown':
      return kernel.setOwner(change.path, change.uid, change.gid)
    case 'chmod':
      return kernel.setMode(change.path, change.mode)
    case 'load':
      return kernel.loadModule(change.name, deadline)
  }
}

/** "done", or the errno. */
async function answerTo(call: () => Promise<void>): Promise<string> {
  try {
    await call()
    return 'done'
  } catch (cause) {
    if (cause instanceof KernelError) return cause.code
    throw cause
  }
}

type Keeper = (change: KeptChange, answer: string) => void

/** Appends to the file, which begins with the first change. @throws IsogroupError io */
function keeperOf(file: string, heading: KeptHeading): Keeper {
  const sizeNow = (): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0
  let size = sizeNow()
  return (change, answer) => {
    const line = changeText({ change, answer })
    const text = size === 0 ? headingText(heading) + line : line
    try {
      if (sizeNow() !== size) throw new Overtaken()
      if (size === 0) makeFolder(dirname(file), 0o700)
      // One write: what a reader finds are whole lines, and at most one cut one.
      appendFileSync(file, text, { mode: 0o600 })
      size = sizeNow()
    } catch (cause) {
      throw unkept(file, cause)
    }
  }
}

class Overtaken extends Error {
  readonly code = 'another command changed the model meanwhile'
}

/** A change is answered when it is kept. */
function keeping(kernel: Kernel, keep: Keeper): Kernel {
  const kept = async (change: KeptChange, deadline: number): Promise<void> => {
    let answer = 'done'
    try {
      await make(kernel, change, deadline)
    } catch (cause) {
      if (cause instanceof KernelError) answer = cause.code
      throw cause
    } finally {
      keep(change, answer)
    }
  }
  return {
    ...kernel,
    write: (path, bytes, deadline) => kept({ kind: 'write', path, bytes: bytes.slice() }, deadline),
    setOwner: (path, uid, gid) => kept({ kind: 'chown', path, uid, gid }, 0),
    setMode: (path, mode) => kept({ kind: 'chmod', path, mode }, 0),
    loadModule: (name, deadline) => kept({ kind: 'load', name }, deadline),
  }
}

const BOOT_ID_BYTES = 16

/** In the form of /proc/sys/kernel/random/boot_id. Its use is to be another one each time. */
function newBootId(): string {
  const digits = randomBytes(BOOT_ID_BYTES).toString('hex')
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
