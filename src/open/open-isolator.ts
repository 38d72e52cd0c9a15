/** The service over a host that can be changed, with records in a folder, or nowhere. */
import { createHash, randomBytes } from 'node:crypto'
import type { LiveHost } from '../isolation/live-host.ts'
import { stateFolder } from '../service/files.ts'
import { type Isolator, isolator } from '../service/isolator.ts'
import type { Clock } from '../service/state-directory.ts'
import { memoryDirectory } from '../service/memory-directory.ts'

export interface OpenIsolatorOptions {
  readonly host: LiveHost
  /** Folder of the records, absolute; null = they are forgotten with the program. */
  readonly state: string | null
  /** The user who runs the program. */
  readonly uid: number
  readonly clock: Clock
}

const ID_BYTES = 4

export function openIsolator({ host, state, uid, clock }: OpenIsolatorOptions): Isolator {
  return isolator({
    ...{ host, uid, clock },
    directory: state === null ? memoryDirectory() : stateFolder(state),
    newId: () => randomBytes(ID_BYTES).toString('hex'),
    digest: (text) => createHash('sha256').update(text).digest('hex'),
  })
}
