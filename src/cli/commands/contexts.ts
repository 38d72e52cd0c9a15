/** `contexts`: programs that use groups, who shares what, and what it saves. */
import { IsogroupError } from '../../base/errors.ts'
import type { Invocation } from '../invocation.ts'
import { contextJson } from '../json/context-json.ts'
import { isLive } from '../live-parts.ts'
import { printJson } from '../print-json.ts'
import { contextLines } from '../text/context-text.ts'

export async function run({ source, outside, out, err, json }: Invocation): Promise<void> {
  if (!isLive(source)) {
    throw new IsogroupError(
      'usage',
      `${source} is a record of a host: no program runs on it`,
      'contexts are those of `linux`, this host, or of a model',
    )
  }
  const host = await outside.openLive(source, null)
  const contexts = host.contexts()
  if (!contexts.known) {
    throw new IsogroupError('permission', contexts.why, 'sudo isogroup contexts')
  }
  if (json) {
    printJson(out, 'ContextList', { host: host.source, programs: contexts.value.map(contextJson) })
    return
  }
  out.print(contexts.value.flatMap((use) => contextLines(use, out)))
  if (contexts.value.length === 0) err.print(['no program uses a group through VFIO'])
}
