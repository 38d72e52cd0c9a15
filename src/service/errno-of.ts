/** Which errno is behind a failure: of the file or the kernel call that it was made of. */
import type { IsogroupError } from '../base/errors.ts'

/** @returns "ENOSPC"; "EIO" when nothing more is known */
export function errnoOf(failure: IsogroupError): string {
  const { cause } = failure
  if (typeof cause !== 'object' || cause === null || !('code' in cause)) return 'EIO'
  return typeof cause.code === 'string' ? cause.code : 'EIO'
}
