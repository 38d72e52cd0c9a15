/**
 * Uevents as a netlink socket of the family KOBJECT_UEVENT receives them (lib/kobject_uevent.c):
 *
 *     add@/devices/pci0000:00/0000:00:03.0\0ACTION=add\0DEVPATH=/devices/...\0SUBSYSTEM=pci\0...SEQNUM=1\0
 */
import { encodeUtf8 } from '../base/utf8.ts'
import type { EventSource } from '../kernel/kernel.ts'
import type { Uevent, Uevents } from './driver-core/uevents.ts'

function ueventDatagram({ action, devpath, variables }: Uevent): Uint8Array {
  const lines = [`${action}@${devpath}`, ...variables.map(([key, value]) => `${key}=${value}`)]
  return encodeUtf8(lines.map((line) => `${line}\0`).join(''))
}

type Receiver = (result: IteratorResult<Uint8Array, undefined>) => void

/**
 * Events from now on, kept until they are taken. Unlike a socket it has room for all of them: a lost
 * event would make a run depend on how fast its reader is.
 */
export function ueventSource(uevents: Uevents): EventSource {
  const waiting: Uint8Array[] = []
  const receivers: Receiver[] = []
  let closed = false
  const stop = uevents.listen((event) => {
    const datagram = ueventDatagram(event)
    const receiver = receivers.shift()
    if (receiver === undefined) waiting.push(datagram)
    else receiver({ done: false, value: datagram })
  })
  const close = (): Promise<void> => {
    stop()
    closed = true
    for (const receiver of receivers.splice(0)) receiver({ done: true, value: undefined })
    return Promise.resolve()
  }
  return {
    close,
    [Symbol.asyncIterator]: () => ({
      next: () => {
        const datagram = waiting.shift()
        if (datagram !== undefined) return Promise.resolve({ done: false, value: datagram })
        if (closed) return Promise.resolve({ done: true, value: undefined })
        return new Promise((resolve) => receivers.push(resolve))
      },
      return: async () => {
        await close()
        return { done: true, value: undefined }
      },
    }),
  }
}
