/** What the use cases of the service work with. */
import type { LiveHost } from '../isolation/live-host.ts'
import type { ClaimStore } from './claim-store.ts'
import type { Digest } from './framed-line.ts'
import type { Clock, StateDirectory } from './state-directory.ts'

export interface Parts {
  readonly host: LiveHost
  readonly directory: StateDirectory
  readonly store: ClaimStore
  readonly clock: Clock
  /** Eight hexadecimal digits, others at each call. */
  readonly newId: () => string
  readonly digest: Digest
  /** The user who runs the command. */
  readonly uid: number
  /** Milliseconds that one step may take. */
  readonly deadline: number
}
