/**
 * How a command ends: exit codes (docs/reference/exit-codes.md) and the words and JSON of a failure.
 */
import { type ErrorCode, IsogroupError } from '../base/errors.ts'

export const EXIT = {
  done: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  rolledBack: 5,
  rollbackIncomplete: 6,
  permission: 7,
} as const

/** Exit code of each error code; every code of base/errors.ts has one. */
export const EXIT_OF: Readonly<Record<ErrorCode, number>> = {
  usage: EXIT.usage,
  'not-found': EXIT.notFound,
  ambiguous: EXIT.usage,
  permission: EXIT.permission,
  'bad-capture': EXIT.internal,
  'bad-machine': EXIT.internal,
  'bad-lspci': EXIT.internal,
  'bad-change': EXIT.usage,
  'newer-version': EXIT.internal,
  'no-source': EXIT.usage,
  refused: EXIT.refused,
  'rolled-back': EXIT.rolledBack,
  'rollback-incomplete': EXIT.rollbackIncomplete,
  io: EXIT.internal,
}

export interface Failure {
  /** An error code, or "internal" for a fault of isogroup itself. */
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly exit: number
  /** Stack of a fault of isogroup itself, for the bug report; null otherwise. */
  readonly trace: string | null
}

/** A file that failed is no mere I/O error when the system says: not you, or not over this one. */
const CODE_OF_ERRNO: Readonly<Record<string, ErrorCode>> = {
  EACCES: 'permission',
  EPERM: 'permission',
  EEXIST: 'refused',
}

export function failureOf(error: unknown): Failure {
  if (error instanceof IsogroupError) {
    const { message, hint } = error
    const code = error.code === 'io' ? (CODE_OF_ERRNO[errnoOf(error.cause)] ?? 'io') : error.code
    return { code, message, hint, exit: EXIT_OF[code], trace: null }
  }
  const known = error instanceof Error
  return {
    code: 'internal',
    message: known ? error.message : String(error),
    hint: 'this is a fault of isogroup: please report it with the lines above and, where possible, the file that `isogroup capture FILE` writes',
    exit: EXIT.internal,
    trace: known ? (error.stack ?? null) : null,
  }
}

function errnoOf(cause: unknown): string {
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return ''
  return typeof cause.code === 'string' ? cause.code : ''
}

/** What a failure looks like for people, on stderr. */
export function failureLines(failure: Failure): readonly string[] {
  const lines = failure.trace === null ? [] : failure.trace.split('\n')
  lines.push(`isogroup: ${failure.message}`)
  if (failure.hint !== '') lines.push(`  next: ${failure.hint}`)
  return lines
}
