/**
 * Failures that a user can cause or meet, all of one shape: a stable code, a message that names the
 * thing, the value seen and the value wanted, and a hint that says what to do next.
 *
 * Programmer errors are not here: they are assertions (assert.ts) and end the program.
 */
export type ErrorCode =
  | 'usage'
  | 'not-found'
  | 'ambiguous'
  | 'permission'
  | 'bad-capture'
  | 'bad-machine'
  | 'bad-lspci'
  | 'bad-change'
  | 'newer-version'
  | 'no-source'
  | 'refused'
  | 'rolled-back'
  | 'rollback-incomplete'
  | 'io'

export class IsogroupError extends Error {
  /** Stable, documented in docs/reference/errors.md. */
  readonly code: ErrorCode
  /** The next thing to do; empty when there is nothing sensible to say. */
  readonly hint: string

  constructor(code: ErrorCode, message: string, hint = '', options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'IsogroupError'
    this.code = code
    this.hint = hint
  }
}
