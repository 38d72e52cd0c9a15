/**
 * Uevents of PCI functions as changes of devices. An event only means "look again": what it says was so
 * when it was sent, and some are lost when many come at once.
 *
 *     add@/devices/pci0000:00/0000:00:01.0/0000:01:00.0\0ACTION=add\0SUBSYSTEM=pci\0PCI_SLOT_NAME=0000:01:00.0\0...
 */
import { decodeUtf8 } from '../base/utf8.ts'
import type { DeviceChange, DeviceWatch } from '../isolation/live-host.ts'
import type { EventSource } from '../kernel/kernel.ts'
import { parseAddress } from '../pci/address.ts'

const ACTIONS: ReadonlySet<string> = new Set(['add', 'remove', 'bind', 'unbind', 'change', 'move'])

const LOST: DeviceChange = { action: 'lost', address: '' }

export function deviceWatch(events: EventSource): DeviceWatch {
  const datagrams = events[Symbol.asyncIterator]()
  return {
    close: () => events.close(),
    [Symbol.asyncIterator]: () => ({
      async next() {
        for (;;) {
          const next = await datagrams.next()
          if (next.done === true) return { done: true as const, value: undefined }
          const change = changeIn(next.value)
          if (change !== null) return { done: false as const, value: change }
        }
      },
      async return() {
        await events.close()
        return { done: true as const, value: undefined }
      },
    }),
  }
}

/** Null for everything that is not about a PCI function. */
function changeIn(datagram: Uint8Array): DeviceChange | null {
  if (datagram.length === 0) return LOST
  const fields = new Map<string, string>()
  for (const field of decodeUtf8(datagram).split('\0')) {
    const at = field.indexOf('=')
    if (at > 0) fields.set(field.slice(0, at), field.slice(at + 1))
  }
  const action = fields.get('ACTION') ?? ''
  const address = fields.get('PCI_SLOT_NAME') ?? ''
  if (fields.get('SUBSYSTEM') !== 'pci' || !isAction(action)) return null
  return parseAddress(address) === null ? null : { action, address }
}

function isAction(text: string): text is Exclude<DeviceChange['action'], 'lost'> {
  return ACTIONS.has(text)
}
