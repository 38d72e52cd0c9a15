/** What commands about claims work with: a host that can be changed, and the service over it. */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import type { Isolator } from '../service/isolator.ts'
import type { CommandOptions, Invocation } from './invocation.ts'
import { single } from './option-values.ts'
import { shellWords } from './shell-words.ts'

/** Where claims on this host are recorded: they must outlive a crash, so no temporary file system. */
const STATE_FOLDER = '/var/lib/isogroup'

export interface LiveParts {
  readonly host: LiveHost
  readonly isolator: Isolator
  /** Folder of the records, absolute; null when a model keeps nothing. */
  readonly state: string | null
}

/** Whether the source is a host that runs, here or in memory, and not only a record of one. */
export function isLive(source: string): boolean {
  return source === 'linux' || source.startsWith('model:')
}

/** @throws IsogroupError usage: the source cannot be changed; and what opening it throws */
export async function openParts(
  invocation: Invocation,
  options: CommandOptions,
): Promise<LiveParts> {
  const { source, outside, err } = invocation
  if (!isLive(source)) {
    throw new IsogroupError(
      'usage',
      `${source} is a record of a host and cannot be changed`,
      'claims are made on `linux`, this host, and on models: --host model:desktop',
    )
  }
  const given = single(options, 'state', '--state')
  const state = await stateFolder(source, given)
  const host = await outside.openLive(source, state)
  if (state === null) {
    err.print([`note: ${source} keeps nothing of what is done to it without --state DIR`])
  }
  const { openIsolator } = await import('../open/open-isolator.ts')
  const { clock, uid } = outside
  return { host, state, isolator: openIsolator({ host, state, uid, clock }) }
}

async function stateFolder(source: string, given: string | null): Promise<string | null> {
  if (given === null) return source === 'linux' ? STATE_FOLDER : null
  const path = await import('node:path')
  return path.resolve(given)
}

/**
 * Changing this host takes root: said before anything is tried, with the command that an administrator
 * could run.
 * @throws IsogroupError permission
 */
export function checkPermission(invocation: Invocation): void {
  const { source, outside } = invocation
  if (source !== 'linux' || outside.uid === 0) return
  throw new IsogroupError(
    'permission',
    `only root may change this host, and isogroup runs as user ${String(outside.uid)}`,
    sudoCommand(invocation),
  )
}

/** The same command as an administrator would run it. */
function sudoCommand({ argv }: Invocation): string {
  return `sudo isogroup ${shellWords(argv)}`
}
