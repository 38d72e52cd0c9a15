/** From the text after --host to a host that can be changed: this one, or a model. */
import { IsogroupError } from '../base/errors.ts'
import type { LiveHost } from '../isolation/live-host.ts'
import { linuxLiveHost } from '../linux/live-host.ts'
import { builtInTwin, openKernel } from './open-host.ts'

export interface OpenLiveOptions {
  /** Directory in which a model keeps what was done to it; null = it keeps nothing. Must exist for models. */
  readonly state: string | null
}

/**
 * @param source "linux" or "model:NAME"
 * @throws IsogroupError usage (records of hosts cannot be changed), no-source, bad-machine, io
 */
export async function openLiveHost(source: string, options: OpenLiveOptions): Promise<LiveHost> {
  const sshConnection = process.env['SSH_CONNECTION'] ?? null
  if (source === 'linux') {
    const { liveKernel } = await import('../kernel/native/live-kernel.ts')
    const opened = await openKernel('linux')
    if (opened === null) throw unchangeable(source)
    const { fallbackNames } = opened
    return linuxLiveHost(liveKernel(), opened.source, { fallbackNames, sshConnection })
  }
  if (!source.startsWith('model:')) throw unchangeable(source)
  const name = source.slice('model:'.length)
  const twin = await builtInTwin(name)
  const { modelLabel } = await import('./model-host.ts')
  const { keptModel } = await import('./kept-model.ts')
  const kernel = await keptModel(name, twin.machine, options.state)
  // Whoever sits at a model has no connection to it.
  return linuxLiveHost(kernel, modelLabel(twin))
}

function unchangeable(source: string): IsogroupError {
  return new IsogroupError(
    'usage',
    `"${source}" is no host that can be changed`,
    'Give "linux" or "model:NAME"; records and trees of hosts can only be looked at.',
  )
}
