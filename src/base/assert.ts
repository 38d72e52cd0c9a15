/** Assertions: what must hold whatever a host or a user does. A failure is a bug in isogroup. */

class AssertionError extends Error {
  constructor(message: string) {
    super(`isogroup has a bug: ${message}`)
    this.name = 'AssertionError'
  }
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message)
}
