/**
 * Records in a folder, so that what is said to be done survives the loss of power.
 *
 *     append    write behind the end, fdatasync; the folder too when the file is new
 *     replace   write another file, fsync, rename over the old one, fsync the folder
 *     remove    unlink, fsync the folder
 *
 * The folder may be anywhere, and isogroup runs as root and does what records say: a link in the place of a file
 * is not followed, and what others could have written is not read.
 */
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { Buffer } from 'node:buffer'
import { join } from 'node:path'
import { type ErrorCode, IsogroupError } from '../base/errors.ts'
import { makeFolder } from './make-folder.ts'
import { takeLock } from './file-lock.ts'
import type { LockName, StateDirectory } from './state-directory.ts'

/** Everybody may see who has what; only its owner changes it. */
const FOLDER_MODE = 0o755
const FILE_MODE = 0o644
const OTHERS_WRITE = 0o022
const UNTRUSTED =
  'records say what root does: remove it if it is not yours, and keep them where only root writes: --state DIR'
const BEFORE_RENAME = '.new'

const { O_APPEND, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY } = constants

const LOCK_FILES: Readonly<Record<LockName, string>> = { changes: 'lock', guard: 'guard.lock' }
const LOCK_MEANINGS: Readonly<Record<LockName, string>> = {
  changes: 'another isogroup is changing claims; nothing was changed',
  guard: 'another guard is running on these claims',
}

/** @param folder absolute; made when it is needed */
export function stateFolder(folder: string): StateDirectory {
  const at = (name: string): string => join(folder, name)
  const ensure = (): void => {
    makeFolder(folder, FOLDER_MODE)
  }
  const syncFolder = (): void => withFile(folder, O_RDONLY | O_DIRECTORY, (fd) => fsyncSync(fd))
  return {
    place: folder,
    list: () => orElse([], `look into ${folder}`, () => readdirSync(folder)),
    read: (name) => {
      const path = at(name)
      return orElse(null, `read ${path}`, () =>
        withFile(path, O_RDONLY | O_NOFOLLOW, (fd) => {
          checkWriters(fd, path)
          return readFileSync(fd, 'utf8')
        }),
      )
    },
    append: (name, text) =>
      explained(`write ${at(name)}`, () => {
        ensure()
        if (appendTo(at(name), text)) syncFolder()
      }),
    replace: (name, text) =>
      explained(`write ${at(name)}`, () => {
        ensure()
        const temporary = at(name + BEFORE_RENAME)
        withFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, (fd) => {
          writeAll(fd, text)
          fsyncSync(fd)
        })
        renameSync(temporary, at(name))
        syncFolder()
      }),
    remove: (name) =>
      explained(`remove ${at(name)}`, () => {
        rmSync(at(name), { force: true })
        syncFolder()
      }),
    lock: (name, patience) =>
      explainedLater(`lock ${folder}`, () => {
        ensure()
        return takeLock(at(LOCK_FILES[name]), patience, LOCK_MEANINGS[name])
      }),
  }
}

/** @returns whether the file is new */
function appendTo(path: string, text: string): boolean {
  return withFile(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, (fd) => {
    const { size } = fstatSync(fd)
    try {
      writeAll(fd, text)
      fdatasyncSync(fd)
    } catch (cause) {
      ftruncateSync(fd, size)
      throw cause
    }
    return size === 0
  })
}

function withFile<T>(path: string, flags: number, use: (fd: number) => T): T {
  const fd = openSync(path, flags, FILE_MODE)
  try {
    return use(fd)
  } finally {
    closeSync(fd)
  }
}

/** @throws IsogroupError io: somebody else than root and the caller may have written it */
function checkWriters(fd: number, path: string): void {
  const { uid, mode } = fstatSync(fd)
  const isOwn = uid === 0 || uid === process.geteuid?.()
  if (isOwn && (mode & OTHERS_WRITE) === 0) return
  const why = isOwn
    ? `others may write it (mode ${(mode & 0o777).toString(8)})`
    : `user ${uid} made it`
  throw new IsogroupError('io', `cannot trust ${path}: ${why}`, UNTRUSTED)
}

/** A full disk takes a part first. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
}

function codeOf(cause: unknown): string {
  return (cause as { code?: string }).code ?? 'EIO'
}

/** The fallback when there is no such file. @throws IsogroupError permission, io */
function orElse<T>(fallback: T, what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return fallback
    throw cause instanceof IsogroupError ? cause : failure(what, cause)
  }
}

/** @throws IsogroupError permission, io */
function explained(what: string, body: () => void): void {
  try {
    body()
  } catch (cause) {
    throw failure(what, cause)
  }
}

async function explainedLater<T>(what: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (cause) {
    throw cause instanceof IsogroupError ? cause : failure(what, cause)
  }
}

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'make room there, or keep the records elsewhere: --state DIR',
  EROFS: 'keep the records where can be written: --state DIR',
  ENOTDIR: 'name a folder: --state DIR',
  ENOENT: 'no files can be made there: name another folder: --state DIR',
  ELOOP: 'there is a link in the place of a record, which is not followed: remove it',
}

function failure(what: string, cause: unknown): IsogroupError {
  const code = codeOf(cause)
  const kind: ErrorCode = code === 'EACCES' || code === 'EPERM' ? 'permission' : 'io'
  const hint =
    kind === 'permission' ? 'run it as root, or name a folder of your own: --state DIR' : ''
  return new IsogroupError(kind, `cannot ${what}: ${code}`, HINTS[code] ?? hint, { cause })
}
