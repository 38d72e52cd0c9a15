import { describe, expect, it } from 'vitest'
import { encodeUtf8 } from '../base/utf8.ts'
import type { DeviceChange } from '../isolation/live-host.ts'
import type { EventSource } from '../kernel/kernel.ts'
import { bootedMachine, CARD, USB } from '../model/machine/booted-machine.case.ts'
import { HandClock } from '../model/machine/vfio-user.case.ts'
import { modelKernel } from '../model/model-kernel.ts'
import { deviceWatch } from './device-watch.ts'

function source(...datagrams: readonly string[]): { events: EventSource; closed: () => boolean } {
  const left = [...datagrams]
  let closed = false
  const events: EventSource = {
    close() {
      closed = true
      return Promise.resolve()
    },
    [Symbol.asyncIterator]: () => ({
      next() {
        const text = left.shift()
        if (text === undefined) return Promise.resolve({ done: true as const, value: undefined })
        return Promise.resolve({ done: false as const, value: encodeUtf8(text) })
      },
    }),
  }
  return { events, closed: () => closed }
}

function datagram(fields: Readonly<Record<string, string>>): string {
  const lines = Object.entries(fields).map(([key, value]) => `${key}=${value}\0`)
  return `${fields['ACTION'] ?? ''}@/devices/x\0${lines.join('')}`
}

async function all(events: EventSource): Promise<readonly DeviceChange[]> {
  const changes: DeviceChange[] = []
  for await (const change of deviceWatch(events)) changes.push(change)
  return changes
}

const PCI = { SUBSYSTEM: 'pci', PCI_SLOT_NAME: CARD }

describe('deviceWatch()', () => {
  it('gives action and address of PCI functions', async () => {
    const actions = ['add', 'bind', 'change', 'unbind', 'move', 'remove'] as const
    const { events } = source(...actions.map((ACTION) => datagram({ ACTION, ...PCI })))
    expect(await all(events)).toEqual(actions.map((action) => ({ action, address: CARD })))
  })

  it('passes over other devices, other actions and what is no uevent', async () => {
    const { events } = source(
      datagram({ ACTION: 'add', SUBSYSTEM: 'net', INTERFACE: 'eth0' }),
      datagram({ ACTION: 'online', ...PCI }),
      datagram({ ACTION: 'lost', ...PCI }),
      datagram({ ACTION: 'add', SUBSYSTEM: 'pci' }),
      datagram({ ACTION: 'add', SUBSYSTEM: 'pci', PCI_SLOT_NAME: '../../etc' }),
      'libudev\0\u0001\u0002',
      '\0\0\0=\0',
      datagram({ ACTION: 'add', ...PCI }),
    )
    expect(await all(events)).toEqual([{ action: 'add', address: CARD }])
  })

  it('says when events were lost', async () => {
    const { events } = source('', datagram({ ACTION: 'remove', ...PCI }))
    expect(await all(events)).toEqual([
      { action: 'lost', address: '' },
      { action: 'remove', address: CARD },
    ])
  })

  it('closes the source with itself, also when a loop is left', async () => {
    const left = source(datagram({ ACTION: 'add', ...PCI }), datagram({ ACTION: 'add', ...PCI }))
    for await (const change of deviceWatch(left.events)) {
      expect(change.action).toBe('add')
      break
    }
    expect(left.closed()).toBe(true)
    const closed = source()
    await deviceWatch(closed.events).close()
    expect(closed.closed()).toBe(true)
  })

  it('hears what is done to a model', async () => {
    const kernel = modelKernel(bootedMachine(), { clock: new HandClock() })
    const watch = deviceWatch(kernel.events())
    const write = (path: string, text: string): Promise<void> =>
      kernel.write(`/sys/bus/pci/${path}`, encodeUtf8(text), 1000)
    await write('drivers/e1000e/unbind', CARD)
    await write('drivers_probe', CARD)
    await write(`devices/${USB}/remove`, '1')
    await write('rescan', '1')
    await watch.close()
    const changes: string[] = []
    for await (const { action, address } of watch) changes.push(`${action} ${address}`)
    expect(changes).toEqual([
      `unbind ${CARD}`,
      `bind ${CARD}`,
      `unbind ${USB}`,
      `remove ${USB}`,
      `add ${USB}`,
      expect.stringContaining(USB),
    ])
  })
})
