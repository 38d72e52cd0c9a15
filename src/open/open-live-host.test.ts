import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { openLiveHost } from './open-live-host.ts'

const state = mkdtempSync(join(tmpdir(), 'isogroup-live-host-'))
afterAll(() => rmSync(state, { recursive: true }))

const GPU = '0000:01:00.0'

describe('openLiveHost()', () => {
  it('opens a model that remembers', async () => {
    const host = await openLiveHost('model:desktop', { state })
    expect(host.snapshot().source).toBe('model desktop')
    await host.perform({ kind: 'set-override', address: GPU, driver: 'none' }, 1000)
    const again = await openLiveHost('model:desktop', { state })
    expect(again.state([GPU])).toEqual(host.state([GPU]))
    expect(again.state([GPU]).devices[0]?.override).toBe('none')
    const other = await openLiveHost('model:laptop', { state })
    expect(other.bootId()).not.toBe(host.bootId())
  })

  it('opens a model that forgets', async () => {
    const host = await openLiveHost('model:desktop', { state: null })
    expect(host.state([GPU]).devices[0]?.override).toBeNull()
  })

  it.each(['file:x.isocap', 'linux:/tmp', 'lspci:-', 'nonsense', ''])(
    'refuses "%s", which cannot be changed',
    async (source) => {
      await expect(openLiveHost(source, { state: null })).rejects.toMatchObject({ code: 'usage' })
    },
  )

  it('refuses machines that there are not', async () => {
    for (const name of ['nothing', '', '../package', '../../machines/desktop']) {
      await expect(openLiveHost(`model:${name}`, { state })).rejects.toMatchObject({
        code: 'no-source',
      })
    }
  })
})
