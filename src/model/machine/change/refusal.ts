/** A change that cannot be made: why, and what to say instead. */
import { Errno } from '../../errno.ts'

export class Refusal extends Errno {
  /** Names the thing, the value seen and the value wanted. */
  readonly why: string
  /** The next thing to do. */
  readonly next: string

  constructor(code: string, why: string, next: string) {
    super(code, `${why}; ${next}`)
    this.name = 'Refusal'
    this.why = why
    this.next = next
  }
}
